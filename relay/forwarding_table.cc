// SPDX-License-Identifier: Apache-2.0
#include "relay/forwarding_table.h"

#include <algorithm>
#include <bit>
#include <map>

#include "stun/message.h"

namespace cvlan::relay {

namespace {

using namespace netlink::nft;

constexpr size_t kMaxName = 120;
constexpr const char* kPrerouting = "prerouting";
constexpr const char* kPostrouting = "postrouting";
constexpr const char* kFragments = "fragments";

// Where a family's header has what we read and write, and in which words a rule keeps it: the key
// from 0 on, what the map says of it behind the key.
struct Layout {
    uint32_t address_size;
    uint32_t source;  // offset in the header
    uint32_t destination;
    Word words;  // of an address
    bool ip_checksum;
};
constexpr Layout kLayout4{4, 12, 16, 1, true};
constexpr Layout kLayout6{16, 8, 24, 4, false};
const Layout& layout_of(Family family) { return family == Family::V4 ? kLayout4 : kLayout6; }

Bytes bytes_of(const Address& address) {
    const auto bytes = address.bytes();
    return {bytes.begin(), bytes.end()};
}

Bytes big_endian(uint32_t value, size_t size) {
    Bytes bytes;
    while (size-- > 0) bytes.push_back(static_cast<uint8_t>(value >> 8 * size));
    return bytes;
}

// Marks are in the byte order of the host.
Bytes mark_bytes(uint32_t mark) {
    const auto bytes = std::bit_cast<std::array<uint8_t, 4>>(mark);
    return {bytes.begin(), bytes.end()};
}

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

Rule other_protocols() {
    return {kPrerouting,
            {LoadMeta{NFT_META_L4PROTO, 0}, Compare{0, {IPPROTO_UDP}, NFT_CMP_NEQ}, Verdict{}},
            "not UDP"};
}

Rule bind_requests() {
    constexpr uint32_t kUdpHeader = 8;
    constexpr uint32_t kCookieAt = 4;
    const uint16_t type = stun::type_of(stun::Class::Request, stun::Method::Bind);
    return {kPrerouting,
            {LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, kUdpHeader, 2, 0},
             Compare{0, big_endian(type, 2)},
             LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, kUdpHeader + kCookieAt, 4, 0},
             Compare{0, big_endian(stun::kMagicCookie, 4)}, Verdict{}},
            "bind requests are the relay's own"};
}

// Only the first fragment of a packet has its ports. This is the expression that needs whole ones
// and costs other packets nothing: with `ct` the kernel would track all connections of the host.
Rule whole_packets() {
    constexpr uint16_t kAnyPort = 1;
    return {kFragments,
            {Immediate{0, big_endian(kAnyPort, 2)}, Tproxy{0}},
            "has the kernel put fragments together; is never run through"};
}

std::vector<Expression> is_of(Family family) {
    const uint8_t protocol = family == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    return {LoadMeta{NFT_META_NFPROTO, 0}, Compare{0, {protocol}}};
}

// What comes to `own` from a node of a pair goes on to the other one. The source stays until
// postrouting, since the kernel refuses a packet that comes in with an address of its own.
//
// nft(8) 1.0 crashes where a rule uses a word of a map's value that nothing was loaded into before:
// it knows of the first word alone. So the ports are loaded where those of the map will come to.
Rule to_other_node(const Address& own, uint32_t mark) {
    const Layout& at = layout_of(own.family());
    const Word destination = at.words;
    const Word ports = 2 * at.words;
    const Word value = ports + 2;
    const Word value_ports = value + at.words;
    const Word mark_word = value_ports + 1;
    Rule rule{kPrerouting, is_of(own.family()), "to " + own.text() + "; ports too are of the map"};
    auto& list = rule.expressions;
    list.insert(
        list.end(),
        {LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, at.destination, at.address_size, destination},
         Compare{destination, bytes_of(own)},
         LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, at.source, at.address_size, 0},
         LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, ports},
         LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, ports + 1},
         LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 4, value_ports},
         Lookup{pairs_map(own.family()), 0, value}, Notrack{},
         Immediate{mark_word, mark_bytes(mark)}, StoreMeta{NFT_META_MARK, mark_word},
         StorePayload{NFT_PAYLOAD_NETWORK_HEADER, at.destination, at.address_size, value,
                      at.ip_checksum},
         StorePayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 4, value_ports}, Verdict{}});
    return rule;
}

Rule from_own_address(const Address& own, uint32_t mark) {
    const Layout& at = layout_of(own.family());
    return {
        kPostrouting,
        {LoadMeta{NFT_META_MARK, 0}, Compare{0, mark_bytes(mark)}, Counter{},
         Immediate{0, bytes_of(own)},
         StorePayload{NFT_PAYLOAD_NETWORK_HEADER, at.source, at.address_size, 0, at.ip_checksum}},
        "from " + own.text()};
}

bool can_be_sent_to(const Address& address) {
    return !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() &&
           !address.is_v4_mapped() && address != *Address::parse("255.255.255.255") &&
           (address.is_v4() || !address.is_link_local());
}

Bytes port_field(uint16_t port) { return {uint8_t(port >> 8), uint8_t(port), 0, 0}; }

uint16_t port_at(const Bytes& bytes, size_t at) {
    return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

Element element_of(const Pair& pair, bool is_from_a, std::chrono::seconds timeout) {
    const Endpoint& from = is_from_a ? pair.a : pair.b;
    const Endpoint& to = is_from_a ? pair.b : pair.a;
    Element element;
    element.key = bytes_of(from.address);
    append(element.key, bytes_of(pair.own));
    append(element.key, port_field(from.port));
    append(element.key, port_field(pair.port));
    Bytes value = bytes_of(to.address);
    append(value, big_endian(uint32_t{pair.port} << 16 | to.port, 4));
    element.value = std::move(value);
    element.timeout = timeout;
    element.comment = (is_from_a ? "a:" : "b:") + pair.name;
    return element;
}

// Both say the same, each from its side.
bool are_of_one(const Direction& from_a, const Direction& from_b) {
    return from_a.pair == from_b.pair;
}

}  // namespace

std::string pairs_map(Family family) { return family == Family::V4 ? "pairs4" : "pairs6"; }

std::vector<Set> forwarding_sets() {
    std::vector<Set> sets;
    for (const auto& [family, type] :
         {std::pair{Family::V4, Type::Ipv4}, std::pair{Family::V6, Type::Ipv6}}) {
        // The ports of a value lie side by side as on the wire, which nft has no type for: it shows
        // them as a mark.
        sets.push_back({.name = pairs_map(family),
                        .key = {type, type, Type::Port, Type::Port},
                        .value = {type, Type::Mark},
                        .has_timeouts = true,
                        .has_counters = true});
    }
    return sets;
}

std::vector<Chain> forwarding_chains() {
    // Before connection tracking, which is not to see these packets.
    return {{kPrerouting, Hook{NF_INET_PRE_ROUTING, -300}},
            {kPostrouting, Hook{NF_INET_POST_ROUTING, -300}},
            {kFragments}};
}

std::vector<Rule> forwarding_rules(std::span<const Address> own) {
    std::vector<Rule> rules{other_protocols(), bind_requests(), whole_packets()};
    for (size_t i = 0; i < own.size(); ++i)
        rules.push_back(to_other_node(own[i], kMark | static_cast<uint32_t>(i + 1)));
    for (size_t i = 0; i < own.size(); ++i)
        rules.push_back(from_own_address(own[i], kMark | static_cast<uint32_t>(i + 1)));
    return rules;
}

Result<void> check_pair(const Pair& pair, std::span<const Address> own) {
    const bool is_printable = std::all_of(pair.name.begin(), pair.name.end(),
                                          [](char c) { return c >= ' ' && c <= '~' && c != '"'; });
    if (pair.name.empty() || pair.name.size() > kMaxName || !is_printable)
        return fail(Code::Invalid, "pair: a name of {} bytes", pair.name.size());
    if (std::find(own.begin(), own.end(), pair.own) == own.end())
        return fail(Code::Invalid, "pair {}: {} is no address of ours", pair.name, pair.own.text());
    if (pair.port == 0) return fail(Code::Invalid, "pair {}: port 0", pair.name);
    if (pair.a == pair.b)
        return fail(Code::Invalid, "pair {}: both at {}", pair.name, pair.a.text());
    for (const Endpoint* each : {&pair.a, &pair.b}) {
        const Address& address = each->address;
        // A packet to ourselves would come in by another way than the one we look at.
        if (each->port == 0 || address.family() != pair.own.family() || !can_be_sent_to(address) ||
            std::find(own.begin(), own.end(), address) != own.end())
            return fail(Code::Invalid, "pair {}: no node can be at {}", pair.name, each->text());
    }
    return {};
}

std::array<Element, 2> elements_of(const Pair& pair, std::chrono::seconds timeout) {
    return {element_of(pair, true, timeout), element_of(pair, false, timeout)};
}

std::optional<Direction> direction_of(const Element& element) {
    const auto* value = std::get_if<Bytes>(&element.value);
    const size_t size = value == nullptr || value->size() < 4 ? 0 : value->size() - 4;
    if ((size != 4 && size != 16) || element.key.size() != 2 * size + 8) return std::nullopt;
    const bool is_from_a = element.comment.starts_with("a:");
    if (!is_from_a && !element.comment.starts_with("b:")) return std::nullopt;

    const ByteView key = element.key;
    const Endpoint from{*Address::from_bytes(key.first(size)), port_at(element.key, 2 * size)};
    const Endpoint to{*Address::from_bytes(ByteView(*value).first(size)),
                      port_at(*value, size + 2)};
    Direction direction;
    direction.is_from_a = is_from_a;
    direction.pair.name = element.comment.substr(2);
    direction.pair.own = *Address::from_bytes(key.subspan(size, size));
    direction.pair.port = port_at(element.key, 2 * size + 4);
    direction.pair.a = is_from_a ? from : to;
    direction.pair.b = is_from_a ? to : from;
    if (port_at(*value, size) != direction.pair.port) return std::nullopt;
    if (element.counter) direction.traffic = {element.counter->packets, element.counter->bytes};
    direction.expires_in = element.expires_in.value_or(std::chrono::milliseconds(0));
    return direction;
}

std::vector<PairState> joined(std::span<const Element> elements) {
    std::map<std::pair<Family, std::string>, Direction> from_a;
    std::vector<Direction> from_b;
    for (const Element& element : elements) {
        auto direction = direction_of(element);
        if (!direction) continue;
        if (!direction->is_from_a) {
            from_b.push_back(std::move(*direction));
            continue;
        }
        auto key = std::pair(direction->pair.own.family(), direction->pair.name);
        from_a.insert_or_assign(std::move(key), std::move(*direction));
    }
    std::vector<PairState> pairs;
    for (const Direction& b : from_b) {
        const auto a = from_a.find({b.pair.own.family(), b.pair.name});
        if (a == from_a.end() || !are_of_one(a->second, b)) continue;
        pairs.push_back(
            {b.pair, a->second.traffic, b.traffic, std::min(a->second.expires_in, b.expires_in)});
    }
    return pairs;
}

}  // namespace cvlan::relay
