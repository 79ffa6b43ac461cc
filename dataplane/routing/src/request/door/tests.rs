use super::*;

const HERE: &str = "127.0.0.1";
const STRANGER: &str = "192.0.2.1";

fn mk_front(apps: Option<&str>) -> Front {
    Front {
        origins: vec!["https://gw.example:8443".parse().unwrap()],
        apps: apps.map(|domain| domain.parse().unwrap()),
        ..Front::default()
    }
}

fn door<'h>(front: &Front, host: &'h str, server_name: Option<&'h str>, peer: &str) -> Door<'h> {
    front.door(Arrival {
        host,
        is_tls: server_name.is_some(),
        server_name,
        peer: Some(peer.parse().unwrap()),
    })
}

#[test]
fn a_name_below_localhost_is_a_door_of_its_own() {
    for front in [Front::default(), mk_front(Some("apps.example"))] {
        for host in ["ui.localhost", "ui.localhost:8001"] {
            for peer in [HERE, "::1", "::ffff:127.0.0.1"] {
                assert_eq!(door(&front, host, None, peer), Door::Local("ui"), "{host}");
            }
            assert_eq!(door(&front, host, None, STRANGER), Door::Main, "{host}");
        }
        let long = format!("{}.localhost", "a".repeat(64));
        for host in [
            "Ui.localhost",
            "ui.LOCALHOST",
            "ui.localhost.",
            "a.b.localhost",
            "-a.localhost",
            "a_b.localhost",
            ".localhost",
            &long,
        ] {
            assert_eq!(door(&front, host, None, HERE), Door::Nowhere, "{host}");
        }
        for host in [
            "localhost",
            "localhost.",
            "",
            "ui.localhost.example",
            "xlocalhost",
            "[::1]:80",
        ] {
            assert_eq!(door(&front, host, None, HERE), Door::Main, "{host}");
        }
    }
}

#[test]
fn a_name_below_the_domain_of_web_uis_is_a_door_of_its_own() {
    let front = mk_front(Some("Apps.Example"));
    for host in [
        "ui.apps.example",
        "ui.apps.example:8443",
        "ui.apps.example:0",
        "ui.apps.example:99999",
        "ui.apps.example:",
    ] {
        assert_eq!(door(&front, host, None, STRANGER), Door::App("ui"), "{host}");
    }
    let long = format!("{}.apps.example", "a".repeat(64));
    for host in [
        "Ui.apps.example",
        "ui.APPS.example",
        "ui.apps.example.",
        "ui.apps.example.:8443",
        "ui.apps.example..",
        "UI.apps.example:0",
        "a.ui.apps.example",
        ".apps.example",
        "-ui.apps.example",
        "u\u{fc}.apps.example",
        "a_b.apps.example",
        &long,
    ] {
        assert_eq!(door(&front, host, None, STRANGER), Door::Nowhere, "{host}");
    }
    // The form that browsers send of a name in another alphabet is a label as any other.
    assert_eq!(
        door(&front, "xn--bcher-kva.apps.example", None, STRANGER),
        Door::App("xn--bcher-kva")
    );
    for host in [
        "apps.example",
        "gw.example:8443",
        "ui.apps.example.evil",
        "uiapps.example",
        "",
    ] {
        assert_eq!(door(&front, host, None, STRANGER), Door::Main, "{host}");
    }
    assert_eq!(
        door(&mk_front(None), "ui.apps.example", None, STRANGER),
        Door::Main
    );
}

/// Where one certificate is good for both, a browser may use one connection for both.
#[test]
fn tls_for_one_door_is_not_taken_for_the_other() {
    let front = mk_front(Some("apps.example"));
    let door = |host, name| door(&front, host, Some(name), STRANGER);
    for (host, name, expected) in [
        ("gw.example:8443", "ui.apps.example", Door::Misdirected),
        ("gw.example:8443", "UI.apps.example.", Door::Misdirected),
        ("other.example", "ui.apps.example", Door::Misdirected),
        ("ui.apps.example", "gw.example", Door::Misdirected),
        ("a.b.apps.example", "GW.example", Door::Misdirected),
        ("ui.apps.example", "other.apps.example", Door::App("ui")),
        ("ui.apps.example", "ui.apps.example", Door::App("ui")),
        // Of a proxy in front, which calls us as it likes.
        ("ui.apps.example", "genkan-dataplane.genkan.svc", Door::App("ui")),
        ("gw.example:8443", "genkan-dataplane.genkan.svc", Door::Main),
        ("gw.example:8443", "gw.example", Door::Main),
    ] {
        assert_eq!(door(host, name), expected, "{host} by {name}");
    }
}

#[test]
fn web_uis_live_where_the_front_lives() {
    assert_eq!(
        mk_front(Some("apps.example")).app_origin("ui").as_deref(),
        Some("https://ui.apps.example:8443")
    );
    let alone = Front {
        origins: Vec::new(),
        ..mk_front(Some("apps.example"))
    };
    assert_eq!(alone.app_origin("ui").as_deref(), Some("https://ui.apps.example"));
    assert_eq!(mk_front(None).app_origin("ui"), None);
}

#[test]
fn the_domain_of_web_uis_is_a_name() {
    let long = format!("{}.example", "a.".repeat(100));
    for bad in [
        "",
        ".",
        ".apps.example",
        "apps.example.",
        "*.apps.example",
        "https://apps.example",
        "apps.example:8443",
        "apps..example",
        "a_b.example",
        "localhost",
        "apps.localhost",
        &long,
    ] {
        let problem = bad.parse::<AppsDomain>().unwrap_err().to_string();
        assert!(problem.contains("such as apps.example.com"), "{problem}");
    }
    let good: AppsDomain = " Apps.Example.COM ".parse().unwrap();
    assert_eq!(&*good.suffix, ".apps.example.com");
    // Whoever shares a domain with web UIs may get cookies from them.
    let beside = |url: &str| Front {
        origins: vec![url.parse().unwrap()],
        ..mk_front(Some("apps.example"))
    };
    for (url, is_good) in [
        ("https://gw.example", true),
        ("https://apps.example", false),
        ("https://gw.apps.example:8443", false),
        ("https://gwapps.example", true),
    ] {
        assert_eq!(beside(url).check().is_ok(), is_good, "{url}");
    }
}
