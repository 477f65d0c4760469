// SPDX-License-Identifier: Apache-2.0
#include "store/prefix_rules.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"

namespace cvlan::store {

namespace {

struct Reserved {
    const char* prefix;
    const char* name;
};

// RFC 6890 and the ranges no node can be reached by.
constexpr Reserved kReserved[] = {
    {"0.0.0.0/8", "this network"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved"},
    {"::/128", "unspecified"},
    {"::1/128", "loopback"},
    {"::ffff:0:0/96", "IPv4-mapped"},
    {"::/8", "reserved"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast"},
};

constexpr uint8_t kShortestV4 = 8;
constexpr uint8_t kShortestV6 = 32;

bool is_whole(const Prefix& prefix) {
    // No address of these stands for the network or for all of its hosts.
    return prefix.address().bits() - prefix.length() <= 1;
}

}  // namespace

Result<void> check_prefix(std::string_view field, const Prefix& prefix) {
    const auto refuse = [&](std::string_view why) {
        Error error{Code::Invalid, fmt::format("{} {}: {}", field, prefix.text(), why)};
        error.pointer = fmt::format("/{}", field);
        return failed(error);
    };
    if ((field == "ipv4") != (prefix.family() == Family::V4)) return refuse("of the other family");
    const uint8_t shortest = prefix.family() == Family::V4 ? kShortestV4 : kShortestV6;
    if (prefix.length() < shortest)
        return refuse(fmt::format("shorter than /{}", static_cast<int>(shortest)));
    for (const Reserved& reserved : kReserved) {
        const auto range = Prefix::parse(reserved.prefix);
        if (range && range->overlaps(prefix))
            return refuse(fmt::format("meets {} ({})", reserved.prefix, reserved.name));
    }
    return {};
}

UsableRange usable_range(const Prefix& prefix) {
    const Address first = prefix.address();
    const Address last = prefix.last();
    if (is_whole(prefix)) return {first, last};
    return {first.plus(1), prefix.family() == Family::V4 ? last.plus(-1) : last};
}

std::string usable_count(const Prefix& prefix) {
    const int host_bits = prefix.address().bits() - prefix.length();
    if (host_bits > 62) return fmt::format("2^{}-1", host_bits);
    const int64_t all = int64_t{1} << host_bits;
    if (is_whole(prefix)) return std::to_string(all);
    return std::to_string(prefix.family() == Family::V4 ? all - 2 : all - 1);
}

Prefix random_ula() {
    std::array<uint8_t, 16> bytes{};
    const Bytes random = random_bytes(7);
    bytes[0] = 0xfd;
    std::copy(random.begin(), random.end(), bytes.begin() + 1);
    return *Prefix::of(*Address::from_bytes(bytes), 64);
}

}  // namespace cvlan::store
