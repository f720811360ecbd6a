//! Files that somebody broke, sent to the server as they are: what of them is stored, and what is said of the rest.
//! Refuses a row that nobody has said, and a file that half came.

use crate::world::{EMAIL, World, full, streamed};
use base::Clock as _;
use bytes::Bytes;
use control::Permits;
use futures::StreamExt as _;
use protocol::admin::Page;
use protocol::admin::device_map::{MapImported, MapRow};

const ROUTE: &str = "/api/v1/device-map/csv";
const HEAD: &str = "email,device_id,device_id_type,device_name,restore_data";

struct Desk {
    world: World,
    admin: String,
}

impl Desk {
    async fn new() -> Self {
        let world = World::start().await;
        let admin = world.credential(Permits::all()).await;
        Self { world, admin }
    }

    async fn send(&self, file: impl Into<Bytes>) -> crate::world::Answer {
        self.world.api(&self.admin, "POST", ROUTE, file).await
    }

    /// The numbers that are stored, sorted.
    async fn stored(&self) -> Vec<String> {
        let page: Page<MapRow> = self.world.api(&self.admin, "GET", "/api/v1/device-map?limit=1000", "").await.json();
        assert!(page.next.is_none());
        let mut stored: Vec<String> = page.items.into_iter().map(|row| row.value).collect();
        stored.sort();
        stored
    }
}

#[tokio::test]
async fn what_is_cut_off_in_a_row_comes_back_with_its_number_and_reason_and_is_not_stored() {
    let desk = Desk::new().await;
    let good = format!("{HEAD}\r\n{EMAIL},S1,serial,Anna's,all\r\n");
    let mut stored = Vec::new();
    for (number, (rest, reason)) in [
        ("{EMAIL},CUT,seri", "The file ends in the middle of this row."),
        ("{EMAIL},CUT,serial,\"Anna's", "A quotation mark of this row is never closed."),
        ("{EMAIL},CUT,serial,\"Anna's,all\r\n{EMAIL},S9,serial,,\r\n", "A quotation mark of this row is never closed."),
        ("{EMAIL},CUT,serial,Ann\u{fffd},all\r\n", "A letter of this row could not be read: it was not in UTF-8."),
        (
            "{EMAIL},CUT,serial,a\0b,all\r\n",
            "A field is longer than 512 bytes, or has line breaks or control characters.",
        ),
        ("{EMAIL},CUT,serial,Ann,all,=1+1\r\n", "The row has more columns than the line of names."),
    ]
    .into_iter()
    .enumerate()
    {
        let own = format!("S{number}0");
        stored.push(own.to_lowercase());
        let file = good.replace("S1", &own) + &rest.replace("{EMAIL}", EMAIL);
        let imported: MapImported = desk.send(file).await.json();
        assert_eq!((imported.stored, imported.unchanged), (1, 0), "{rest:?}");
        let [only] = imported.rejected.as_slice() else { panic!("{rest:?}: {:?}", imported.rejected) };
        assert_eq!((only.number, only.error.as_str(), only.row.device_id.as_str()), (2, reason, "CUT"), "{rest:?}");
        assert!(imported.rejected_csv.contains(reason), "{}", imported.rejected_csv);
    }
    // In the middle of a letter: \xc3 begins one of two bytes.
    let file = [good.as_bytes(), EMAIL.as_bytes(), b",CUT,serial,Andr\xc3"].concat();
    let imported: MapImported = desk.send(file).await.json();
    assert_eq!(imported.rejected[0].error, "The file ends in the middle of this row.");
    let file = [good.as_bytes(), EMAIL.as_bytes(), b",CUT,serial,Andr\xc3,all\r\n"].concat();
    let imported: MapImported = desk.send(file).await.json();
    assert_eq!(imported.rejected[0].error, "The row is not in UTF-8.");
    stored.push("s1".to_owned());
    stored.sort();
    assert_eq!(desk.stored().await.iter().map(|value| value.to_lowercase()).collect::<Vec<_>>(), stored);
}

#[tokio::test]
async fn a_file_that_is_none_stores_nothing_and_says_why() {
    let desk = Desk::new().await;
    let row = format!("{EMAIL},S1,serial,,\n");
    let utf_16: Vec<u8> = format!("\u{feff}{HEAD}\n{row}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let many = format!("{HEAD}\n{row}") + &",\n".repeat(100_000);
    for (what, file, refused, said) in [
        ("in UTF-16", utf_16, (400, "csv_invalid"), "not in UTF-8"),
        ("empty", Vec::new(), (400, "csv_invalid"), "no line of names"),
        ("without names", row.clone().into_bytes(), (400, "csv_invalid"), "There is no column"),
        ("twice a name", format!("{HEAD},email\n{row}").into_bytes(), (400, "csv_invalid"), "is there twice"),
        ("an open name", format!("\"{HEAD}\n{row}").into_bytes(), (400, "csv_invalid"), "never closed"),
        ("100,001 rows", many.into_bytes(), (413, "request_too_large"), "larger"),
        ("over 10 MiB", vec![b'x'; (10 << 20) + 1], (413, "request_too_large"), "larger"),
    ] {
        let answer = desk.send(file).await;
        let problem = answer.problem();
        assert_eq!((problem.status, problem.code.as_str()), refused, "{what}");
        assert!(problem.detail.contains(said) || refused.0 == 413, "{what}: {}", problem.detail);
        assert_eq!(desk.stored().await, Vec::<String>::new(), "{what}");
    }
}

#[tokio::test]
async fn every_way_to_end_a_line_a_mark_and_a_line_of_ten_megabytes_do_no_harm() {
    let desk = Desk::new().await;
    for (number, (mark, end)) in [("", "\n"), ("", "\r\n"), ("", "\r"), ("\u{feff}", "\r\n")].into_iter().enumerate() {
        let file = [format!("{mark}{HEAD}"), format!("{EMAIL},S{number},serial,,"), String::new()].join(end);
        let imported: MapImported = desk.send(file).await.json();
        assert_eq!((imported.stored, imported.rejected.len()), (1, 0), "{end:?}");
    }
    let mut file = format!("{HEAD}\n").into_bytes();
    file.resize(9 << 20, b'x');
    file.extend(format!("\n{EMAIL},S9,serial,,\n").into_bytes());
    let imported: MapImported = desk.send(file).await.json();
    assert_eq!((imported.stored, imported.rejected.len(), imported.rejected[0].number), (1, 1, 1));
    assert_eq!(imported.rejected[0].error, "The row is longer than a row may be.");
    assert_eq!(desk.stored().await.len(), 5);
}

#[tokio::test]
async fn an_upload_that_breaks_off_stores_nothing() {
    let desk = Desk::new().await;
    let mut file = format!("{HEAD}\n");
    for number in 0..2_000 {
        file += &format!("{EMAIL},S{number},serial,,\n");
    }
    let whole = Bytes::from(file);
    let half = whole.slice(..whole.len() - 3);
    let bearer = format!("Bearer {}", desk.admin);
    let len = whole.len().to_string();
    // Once with its length and once without: the rest never comes, and the connection ends.
    for headers in
        [vec![("authorization", bearer.as_str())], vec![("authorization", &*bearer), ("content-length", &len)]]
    {
        let pieces = futures::stream::iter([half.clone()]).chain(futures::stream::pending());
        let sent = desk.world.open("POST", ROUTE, &headers, streamed(pieces));
        let given_up = base::SystemClock.sleep(base::Span::ms(400));
        tokio::select! {
            _ = sent => panic!("half a file is no request"),
            () = given_up => {}
        }
    }
    assert_eq!(desk.stored().await, Vec::<String>::new());
    let imported: MapImported = desk.send(whole).await.json();
    assert_eq!(imported.stored, 2_000);
}

#[tokio::test]
async fn nothing_that_is_taken_out_of_the_server_is_computed_by_a_spreadsheet() {
    let desk = Desk::new().await;
    let formulas = ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"];
    for (number, formula) in formulas.iter().enumerate() {
        let file = format!("{HEAD}\n\"{formula}\",S{number},serial,\"{formula}\",\n");
        let imported: MapImported = desk.send(file).await.json();
        assert_eq!(imported.stored, 0, "{formula:?}");
        let cells = imported.rejected_csv.lines().skip(1).flat_map(|line| line.split(',')).collect::<Vec<_>>();
        let computed = |cell: &&&str| cell.trim_start_matches('"').starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert_eq!(cells.iter().find(computed), None, "{}", imported.rejected_csv);
    }
    let headers = format!("Bearer {}", desk.admin);
    let refused = desk.world.send("POST", ROUTE, &[("authorization", &headers)], full("=1+1,=2\n")).await;
    assert_eq!(refused.refused().1, "csv_invalid");
}
