//! A configuration that is planned, applied and confirmed through the API of the real server, as people with tokens.

use super::office::Office;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn r20_a_configuration_goes_through_the_api_and_more_for_its_author_takes_another() {
    let start = later(whole_second(SystemClock.now()), seconds(3_600));
    let office = Office::open(start, later(start, seconds(60))).await;
    let (place, address) = (&office.place, office.address());
    let run = async |who: &str, groups: &[&str], arguments: &[&str]| office.run(who, groups, arguments).await;
    let file = place.directory.join("dutykey.yaml");
    let change = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from} is not in the file");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
    };

    let (code, text) = run("dan", &["admins"], &["plan"]).await;
    assert_eq!((code, text.contains("no changes")), (Some(0), true), "the file is in force: {text}");
    let (code, text) = run("ann", &[], &["plan"]).await;
    assert_eq!((code, text.contains("an administrator")), (Some(2), true), "{text}");
    let (code, output) = place.run(&["plan", "--api", &address]).await;
    assert_eq!((code, said(&output).contains("DUTYKEY_TOKEN")), (Some(2), true), "{}", said(&output));

    change("name: Debugging in production", "name: Debugging");
    let (code, text) = run("dan", &["admins"], &["plan"]).await;
    assert_eq!((code, text.contains("~ profile prod-debug")), (Some(0), true), "what differs is shown: {text}");
    let (code, text) = run("dan", &["admins"], &["apply"]).await;
    assert_eq!((code, text.contains("version 2 is in force")), (Some(0), true), "it gives nobody more: {text}");

    change("version: 1\n", "version: 1\nbrake: { rotation: 60% }\n");
    let (code, text) = run("dan", &["admins"], &["apply"]).await;
    assert_eq!((code, text.contains("another administrator")), (Some(1), true), "it waits: {text}");
    let digest = text.split_once("--digest ").map(|(_, rest)| rest.chars().take(64).collect::<String>()).unwrap();
    let confirm = ["confirm", "--yes", "--digest", &digest];
    let (code, text) = run("dan", &["admins"], &confirm).await;
    assert_eq!((code, text.contains("you proposed it")), (Some(2), true), "R20: nobody confirms their own: {text}");
    let (code, text) = run("eve", &["admins"], &confirm).await;
    assert_eq!((code, text.contains("~ setting brake")), (Some(0), true), "what is confirmed is shown: {text}");
    assert!(text.contains("dan@example.com wants it") && text.contains("version 3 is in force"), "{text}");
    let (code, text) = run("eve", &["admins"], &confirm).await;
    assert_eq!((code, text.contains("no change of this digest waits")), (Some(2), true), "{text}");
    let (code, text) = run("eve", &["admins"], &["plan"]).await;
    assert_eq!((code, text.contains("no changes")), (Some(0), true), "{text}");
    assert_eq!(office.server.stop().await, Some(0));
}
