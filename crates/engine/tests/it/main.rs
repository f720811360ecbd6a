//! Backup and restore from end to end, over ports that live in memory: a file system that can be told to misbehave, a
//! server that believes nothing, a disk that fills up. Refuses real files, real networks and real clocks.

mod changing;
mod damage;
mod faults;
mod folders;
mod journal;
mod killed;
mod large_directory;
mod limits;
mod links;
mod memory;
mod random;
mod resume;
mod round_trip;
mod selection;
mod sparse;
mod threads;
mod unchanged;
mod verify_restore;
mod world;
