// SPDX-License-Identifier: Apache-2.0
#pragma once

// What nftables holds, as values: tables of family inet, chains, rules as lists of expressions, and
// sets and maps with their elements. Only what the relay and the policies use. Source:
// linux/netfilter/nf_tables.h.

#include <netinet/in.h>  // before linux/netfilter.h, which else brings the kernel's own in.h

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace cvlan::netlink::nft {

// The first of the words of 32 bits, 0 to 15, which a value lies in from its first byte on. The
// fields of a concatenated key lie one behind the other, each padded to whole words.
using Word = uint32_t;
constexpr Word kWords = 16;

struct LoadPayload {
    nft_payload_bases base{};
    uint32_t offset = 0;
    uint32_t size = 0;
    Word to = 0;
};

// Checksums are kept right: the one of the IPv4 header where `ip_checksum` is set, and the one of
// UDP or TCP always; a UDP packet that has none stays without one.
struct StorePayload {
    nft_payload_bases base{};
    uint32_t offset = 0;
    uint32_t size = 0;
    Word from = 0;
    bool ip_checksum = false;
};

struct LoadMeta {
    nft_meta_keys key{};
    Word to = 0;
};

struct StoreMeta {
    nft_meta_keys key{};
    Word from = 0;
};

// The rule ends here for a packet that does not fit.
struct Compare {
    Word word = 0;
    Bytes value;
    nft_cmp_ops is = NFT_CMP_EQ;
};

// value & mask, in place.
struct Mask {
    Word word = 0;
    Bytes mask;
};

struct Immediate {
    Word to = 0;
    Bytes value;
};

struct Verdict {
    int32_t code = NF_ACCEPT;  // NF_DROP, NFT_RETURN, NFT_JUMP, …
    std::string chain{};       // of NFT_JUMP and NFT_GOTO

    bool operator==(const Verdict&) const = default;
};

// The rule ends here for a packet whose key is not in the set. What a map holds comes into the
// words from `value` on; of a map of verdicts, `is_verdict`, it is the verdict.
struct Lookup {
    std::string set;
    Word key = 0;
    std::optional<Word> value{};
    bool is_verdict = false;
};

struct Notrack {};

// Hands a packet to a socket of ours at the port in `port`, whoever it is for. Where a namespace
// has a rule with it, the kernel puts fragments of both families together before they come to any
// rule.
struct Tproxy {
    Word port = 0;
};

struct Counter {
    uint64_t packets = 0;
    uint64_t bytes = 0;

    bool operator==(const Counter&) const = default;
};

using Expression = std::variant<LoadPayload, StorePayload, LoadMeta, StoreMeta, Compare, Mask,
                                Immediate, Verdict, Lookup, Notrack, Tproxy, Counter>;

// Comments are what `nft list` shows as such: at most 127 bytes of printable text.
constexpr size_t kMaxComment = 127;

struct Table {
    std::string name;
    std::string comment{};
};

struct Hook {
    nf_inet_hooks at{};
    int32_t priority = 0;
};

struct Chain {
    std::string name;
    std::optional<Hook> hook{};  // none: reached by a jump
};

struct Rule {
    std::string chain;
    std::vector<Expression> expressions{};  // not read back
    std::string comment{};
    std::optional<Counter> counted{};  // read back, of the last Counter among them
};

// nft's numbers of the types it shows (nftables, src/include/datatype.h); the kernel does not mind.
enum class Type : uint32_t { Ipv4 = 7, Ipv6 = 8, Protocol = 12, Port = 13, Mark = 19, Verdict = 0 };

struct Set {
    std::string name;
    std::vector<Type> key;
    std::vector<Type> value{};  // of a map; Verdict alone for one of verdicts
    bool has_timeouts = false;
    bool has_counters = false;  // one for each element
};

struct Element {
    Bytes key;
    std::variant<std::monostate, Bytes, Verdict> value{};
    std::optional<std::chrono::milliseconds> timeout{};
    std::optional<std::chrono::milliseconds> expires_in{};  // only read
    std::optional<Counter> counter{};
    std::string comment{};

    bool operator==(const Element&) const = default;
};

}  // namespace cvlan::netlink::nft
