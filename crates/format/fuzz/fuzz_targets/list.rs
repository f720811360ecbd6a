//! Any bytes as a list: what is read, is written the same.
#![no_main]

use format::List;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = List::decode(bytes) {
        assert_eq!(list.encode().as_deref(), Ok(bytes));
    }
});
