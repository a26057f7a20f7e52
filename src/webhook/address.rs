//! Where nothing is sent: this machine, private networks and what only looks as if it were outside. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// An address that events may be sent to.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn check_url(text: &str, private_targets: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("it is no web address ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it has to begin with `https://` or `http://`".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds credentials: check the signature instead".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    if let Some(ip) = literal(host).filter(|ip| !private_targets && !is_public(*ip)) {
        return Err(refusal(ip));
    }
    if !private_targets && is_local_name(host) {
        return Err(format!("{host} is a name of this machine: {ASK}"));
    }
    Ok(url)
}

const ASK: &str = "whoever runs the node can allow private targets";

/// Why nothing is sent to an address.
pub(super) fn refusal(ip: IpAddr) -> String {
    format!("{ip} is not a public address, and nothing is sent there: {ASK}")
}

fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The address that stands in a URL instead of a name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
}

/// Whether an address is one of the public network.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match inside(ip) {
            Some(ip) => is_public_v4(ip),
            None => is_public_v6(ip),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (192, 168, _)
            | (172, 16..=31, _)
            | (198, 18..=19, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

/// The IPv4 address that an IPv6 address stands for.
fn inside(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(from(high, low))
        }
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

/// Of IPv6, only global unicast is public, without what is reserved in it.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        [0x2001, 0 | 0xdb8, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_sent_home() {
        let inside = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.31.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://localhost:80/",
            "http://LOCALHOST./",
            "http://a.localhost/",
        ];
        for url in inside {
            assert!(check_url(url, false).is_err(), "{url}");
            assert!(check_url(url, true).is_ok(), "{url}");
        }
        for url in [
            "https://example.com/hook",
            "http://93.184.215.14/",
            "https://[2606:4700::1]/",
        ] {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
        for url in [
            "",
            "example.com",
            "ftp://example.com/",
            "https://me:it@example.com/",
            "http://",
        ] {
            assert!(check_url(url, true).is_err(), "{url}");
        }
    }

    proptest! {
        /// What IPv6 can say of an IPv4 address changes nothing about it.
        #[test]
        fn an_address_in_another_one_is_judged_as_itself(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let mapped = IpAddr::V6(v4.to_ipv6_mapped());
            prop_assert_eq!(is_public(mapped), is_public(IpAddr::V4(v4)));
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation() {
                prop_assert!(!is_public(IpAddr::V4(v4)));
            }
        }
    }
}
