//! The IANA special-purpose address registries of IPv4 and IPv6, row by row, with what is done with each, and the networks
//! that are special to genkan beside them. The longest prefix counts. What no row contains is dialled.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::AddressRefused::{self, LinkLocal, Loopback, Metadata, Multicast, Reserved, Unspecified};
use Treatment::{Dialled, Embedding, Refused};

/// One network.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub net: IpNet,
    /// As the registry calls it.
    pub name: &'static str,
    pub treatment: Treatment,
    pub why: &'static str,
}

/// What is done with the addresses of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    Dialled,
    Refused(AddressRefused),
    /// It holds an IPv4 address, which is judged in its place.
    Embedding,
}

const fn v4(octets: [u8; 4], prefix: u8, name: &'static str, treatment: Treatment, why: &'static str) -> Row {
    let [a, b, c, d] = octets;
    let net = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix));
    Row {
        net,
        name,
        treatment,
        why,
    }
}

const fn v6(words: [u16; 8], prefix: u8, name: &'static str, treatment: Treatment, why: &'static str) -> Row {
    let [a, b, c, d, e, f, g, h] = words;
    let net = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix));
    Row {
        net,
        name,
        treatment,
        why,
    }
}

const HERE: &str = "leads to this machine";
const PRIVATE: &str = "backends live there";
const DOCUMENTATION: &str = "leads nowhere, or where one's own network routes it; examples use it";
const ANYCAST: &str = "public, and no service of one's own network";
const NETWORK: &str = "services of the network itself, none of them a backend";
const IDENTIFIER: &str = "names something, and is no address that could be dialled";
const THROWN_AWAY: &str = "what is sent there is thrown away; a refusal says so, a timeout would not";
const CREDENTIALS: &str = "hands out credentials of the machine";
const TRANSLATED: &str = "leads to the IPv4 address that it holds";
const EVERYBODY: &str = "leads to many, and TCP to none";

/// Every row.
pub const ROWS: &[Row] = &[
    v4(
        [0, 0, 0, 0],
        8,
        "\"This network\"",
        Refused(Unspecified),
        "leads to this machine on Linux",
    ),
    v4(
        [0, 0, 0, 0],
        32,
        "\"This host on this network\"",
        Refused(Unspecified),
        HERE,
    ),
    v4([10, 0, 0, 0], 8, "Private-Use", Dialled, PRIVATE),
    v4(
        [100, 64, 0, 0],
        10,
        "Shared Address Space",
        Dialled,
        "clusters number their Pods from it",
    ),
    v4(
        [100, 100, 100, 200],
        32,
        "(metadata service of Alibaba Cloud)",
        Refused(Metadata),
        CREDENTIALS,
    ),
    v4([127, 0, 0, 0], 8, "Loopback", Refused(Loopback), HERE),
    v4(
        [168, 63, 129, 16],
        32,
        "(metadata service of Azure)",
        Refused(Metadata),
        CREDENTIALS,
    ),
    v4(
        [169, 254, 0, 0],
        16,
        "Link Local",
        Refused(LinkLocal),
        "metadata services, and whoever claims an address",
    ),
    v4([172, 16, 0, 0], 12, "Private-Use", Dialled, PRIVATE),
    v4(
        [192, 0, 0, 0],
        24,
        "IETF Protocol Assignments",
        Refused(Reserved),
        NETWORK,
    ),
    v4(
        [192, 0, 0, 0],
        29,
        "IPv4 Service Continuity Prefix",
        Refused(Reserved),
        NETWORK,
    ),
    v4(
        [192, 0, 0, 8],
        32,
        "IPv4 dummy address",
        Refused(Reserved),
        IDENTIFIER,
    ),
    v4(
        [192, 0, 0, 9],
        32,
        "Port Control Protocol Anycast",
        Refused(Reserved),
        NETWORK,
    ),
    v4(
        [192, 0, 0, 10],
        32,
        "Traversal Using Relays around NAT Anycast",
        Refused(Reserved),
        NETWORK,
    ),
    v4(
        [192, 0, 0, 170],
        31,
        "NAT64/DNS64 Discovery",
        Refused(Reserved),
        IDENTIFIER,
    ),
    v4(
        [192, 0, 0, 192],
        32,
        "(metadata service of Oracle Cloud)",
        Refused(Metadata),
        CREDENTIALS,
    ),
    v4(
        [192, 0, 2, 0],
        24,
        "Documentation (TEST-NET-1)",
        Dialled,
        DOCUMENTATION,
    ),
    v4([192, 31, 196, 0], 24, "AS112-v4", Dialled, ANYCAST),
    v4([192, 52, 193, 0], 24, "AMT", Dialled, ANYCAST),
    v4(
        [192, 88, 99, 0],
        24,
        "Deprecated (6to4 Relay Anycast)",
        Refused(Reserved),
        NETWORK,
    ),
    v4(
        [192, 88, 99, 2],
        32,
        "6a44-relay anycast address",
        Refused(Reserved),
        NETWORK,
    ),
    v4([192, 168, 0, 0], 16, "Private-Use", Dialled, PRIVATE),
    v4(
        [192, 175, 48, 0],
        24,
        "Direct Delegation AS112 Service",
        Dialled,
        ANYCAST,
    ),
    v4(
        [198, 18, 0, 0],
        15,
        "Benchmarking",
        Dialled,
        "networks use it as private, meshes for names of theirs",
    ),
    v4(
        [198, 51, 100, 0],
        24,
        "Documentation (TEST-NET-2)",
        Dialled,
        DOCUMENTATION,
    ),
    v4(
        [203, 0, 113, 0],
        24,
        "Documentation (TEST-NET-3)",
        Dialled,
        DOCUMENTATION,
    ),
    v4([224, 0, 0, 0], 4, "(Multicast)", Refused(Multicast), EVERYBODY),
    v4(
        [240, 0, 0, 0],
        4,
        "Reserved",
        Dialled,
        "clusters number their Pods from it, meshes names of theirs",
    ),
    v4(
        [255, 255, 255, 255],
        32,
        "Limited Broadcast",
        Refused(Multicast),
        EVERYBODY,
    ),
    v6(
        [0, 0, 0, 0, 0, 0, 0, 1],
        128,
        "Loopback Address",
        Refused(Loopback),
        HERE,
    ),
    v6([0; 8], 128, "Unspecified Address", Refused(Unspecified), HERE),
    v6([0; 8], 96, "(IPv4-compatible, deprecated)", Embedding, TRANSLATED),
    v6(
        [0, 0, 0, 0, 0, 0xffff, 0, 0],
        96,
        "IPv4-mapped Address",
        Embedding,
        TRANSLATED,
    ),
    v6(
        [0, 0, 0, 0, 0xffff, 0, 0, 0],
        96,
        "(IPv4-translated, RFC 2765)",
        Embedding,
        TRANSLATED,
    ),
    v6(
        [0x64, 0xff9b, 0, 0, 0, 0, 0, 0],
        96,
        "IPv4-IPv6 Translat.",
        Embedding,
        TRANSLATED,
    ),
    v6(
        [0x64, 0xff9b, 1, 0, 0, 0, 0, 0],
        48,
        "IPv4-IPv6 Translat.",
        Embedding,
        "the same in each form that RFC 6052 has below a /48; one that is in none is refused",
    ),
    v6(
        [0x100, 0, 0, 0, 0, 0, 0, 0],
        64,
        "Discard-Only Address Block",
        Refused(Reserved),
        THROWN_AWAY,
    ),
    v6(
        [0x100, 0, 0, 1, 0, 0, 0, 0],
        64,
        "Dummy IPv6 Prefix",
        Refused(Reserved),
        THROWN_AWAY,
    ),
    v6(
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        23,
        "IETF Protocol Assignments",
        Refused(Reserved),
        NETWORK,
    ),
    v6(
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        32,
        "TEREDO",
        Embedding,
        "leads through one IPv4 address to another, and both are judged",
    ),
    v6(
        [0x2001, 1, 0, 0, 0, 0, 0, 1],
        128,
        "Port Control Protocol Anycast",
        Refused(Reserved),
        NETWORK,
    ),
    v6(
        [0x2001, 1, 0, 0, 0, 0, 0, 2],
        128,
        "Traversal Using Relays around NAT Anycast",
        Refused(Reserved),
        NETWORK,
    ),
    v6(
        [0x2001, 1, 0, 0, 0, 0, 0, 3],
        128,
        "DNS-SD Service Registration Protocol Anycast",
        Refused(Reserved),
        NETWORK,
    ),
    v6(
        [0x2001, 2, 0, 0, 0, 0, 0, 0],
        48,
        "Benchmarking",
        Dialled,
        "networks use it as private",
    ),
    v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, "AMT", Dialled, ANYCAST),
    v6(
        [0x2001, 4, 0x112, 0, 0, 0, 0, 0],
        48,
        "AS112-v6",
        Dialled,
        ANYCAST,
    ),
    v6(
        [0x2001, 0x10, 0, 0, 0, 0, 0, 0],
        28,
        "Deprecated (previously ORCHID)",
        Refused(Reserved),
        IDENTIFIER,
    ),
    v6(
        [0x2001, 0x20, 0, 0, 0, 0, 0, 0],
        28,
        "ORCHIDv2",
        Refused(Reserved),
        IDENTIFIER,
    ),
    v6(
        [0x2001, 0x30, 0, 0, 0, 0, 0, 0],
        28,
        "Drone Remote ID Protocol Entity Tags (DETs) Prefix",
        Refused(Reserved),
        IDENTIFIER,
    ),
    v6(
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0],
        32,
        "Documentation",
        Dialled,
        DOCUMENTATION,
    ),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4", Embedding, TRANSLATED),
    v6(
        [0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0],
        48,
        "Direct Delegation AS112 Service",
        Dialled,
        ANYCAST,
    ),
    v6(
        [0x3fff, 0, 0, 0, 0, 0, 0, 0],
        20,
        "Documentation",
        Dialled,
        DOCUMENTATION,
    ),
    v6(
        [0x5f00, 0, 0, 0, 0, 0, 0, 0],
        16,
        "Segment Routing (SRv6) SIDs",
        Refused(Reserved),
        "an instruction to routers",
    ),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "Unique-Local", Dialled, PRIVATE),
    v6(
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0],
        32,
        "(metadata services of AWS)",
        Refused(Metadata),
        CREDENTIALS,
    ),
    v6(
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0],
        32,
        "(metadata service of Google Cloud)",
        Refused(Metadata),
        CREDENTIALS,
    ),
    v6(
        [0xfe80, 0, 0, 0, 0, 0, 0, 0],
        10,
        "Link-Local Unicast",
        Refused(LinkLocal),
        "metadata services, and whoever claims an address",
    ),
    v6(
        [0xff00, 0, 0, 0, 0, 0, 0, 0],
        8,
        "(Multicast)",
        Refused(Multicast),
        EVERYBODY,
    ),
];
