use super::{Account, Departed, Doubt, Person, departed, first_match, verified_address};
use crate::rota::PlatformUser;
use crate::testing::{id, minute, person};

fn user(name: &str, email: Option<&str>, active: Option<bool>) -> PlatformUser {
    PlatformUser { id: id(name), email: email.map(str::to_owned), name: None, active }
}

#[test]
fn p8_only_an_address_in_a_verified_domain_counts_and_only_in_its_exact_form() {
    let domains = ["Example.com".to_owned()];
    let ok = |address: &str| verified_address(address, &domains);
    assert_eq!(ok(" Ann.Lee@EXAMPLE.com "), Some("ann.lee@example.com".to_owned()));
    assert_eq!(ok("ann+ops@example.com"), Some("ann+ops@example.com".to_owned()), "another address than ann@");
    for bad in [
        "ann@evil.com",
        "ann@sub.example.com",
        "ann@example.com.evil.com",
        "@example.com",
        "example.com",
        "a b@example.com",
        "ann@example.com\u{0}",
        "",
    ] {
        assert_eq!(ok(bad), None, "{bad:?}");
    }
    assert_eq!(ok("ann@evil.com@example.com"), None, "two at signs are no address");
    assert_eq!(verified_address("ann@example.com", &[]), None);
}

#[test]
fn p8_none_two_or_an_inactive_match_is_doubt() {
    let domains = ["example.com".to_owned()];
    let ann = user("u1", Some("Ann@example.com"), None);
    let twin = user("u2", Some("ann@EXAMPLE.com"), Some(true));
    let left = user("u3", Some("ann@example.com"), Some(false));
    let first = |who: &PlatformUser, all: &[&PlatformUser]| first_match(who, all.iter().copied(), &domains);
    assert_eq!(first(&ann, &[&ann]), Ok("ann@example.com".to_owned()));
    assert_eq!(first(&ann, &[&ann, &left]), Ok("ann@example.com".to_owned()), "somebody inactive is nobody's rival");
    assert_eq!(first(&ann, &[&ann, &twin]), Err(Doubt::Ambiguous));
    assert_eq!(first(&left, &[&ann, &left]), Err(Doubt::Inactive));
    assert_eq!(first(&user("u4", None, None), &[]), Err(Doubt::Unmatched));
}

#[test]
fn p8_a_list_that_lacks_people_makes_no_address_unique() {
    let domains = ["example.com".to_owned()];
    let (ann, twin) = (user("u1", Some("ann@example.com"), None), user("u2", Some("ann@example.com"), None));
    let (both, one) = ([ann.clone(), twin.clone()], [ann.clone()]);
    let first = |gone: &[Departed]| first_match(&ann, one.iter().chain(gone.iter().map(|gone| &gone.user)), &domains);
    let gone = departed(&both, &[], &one, minute(0));
    assert_eq!(first(&gone), Err(Doubt::Ambiguous), "P8: the twin was listed a moment ago");
    let gone = departed(&one, &gone, &one, minute(24 * 60 - 1));
    assert_eq!(gone, [Departed { user: twin, since: minute(0) }], "from the first list that lacks them on");
    assert_eq!(departed(&one, &gone, &both, minute(60)), [], "listed again");
    let gone = departed(&one, &gone, &one, minute(24 * 60));
    assert_eq!(first(&gone), Ok("ann@example.com".to_owned()), "after a day the address is theirs alone");
}

#[test]
fn r18_whoever_no_app_knows_is_nobody_and_whoever_anything_names_is_not() {
    let left = Person::nobody(person(1));
    assert!(left.is_nobody());
    let asked = Account::Doubtful { doubt: Doubt::Unmatched, again: minute(60) };
    assert!(Person { accounts: [(id("directory"), asked)].into(), ..left.clone() }.is_nobody());
    let account = Account::Linked(id("account"));
    assert!(!Person { accounts: [(id("directory"), account)].into(), ..left.clone() }.is_nobody());
    assert!(!Person { users: [(id("rota"), id("ann"))].into(), ..left.clone() }.is_nobody());
    assert!(!Person { email: Some("ann@example.com".to_owned()), ..left }.is_nobody());
}
