// SPDX-License-Identifier: Apache-2.0
#include "base/public_address.h"

#include <algorithm>
#include <vector>

namespace cvlan {

namespace {

// iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry.
const std::vector<Prefix>& special() {
    static const std::vector<Prefix> all = [] {
        std::vector<Prefix> made;
        for (const char* text :
             {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
              "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
              "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
              "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
              // Of 2000::/3; nothing else of IPv6 is global unicast. 2001::/23 has Teredo in it,
              // 2002::/16 is 6to4.
              "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"})
            made.push_back(*Prefix::parse(text));
        return made;
    }();
    return all;
}

}  // namespace

bool is_public(const Address& address) {
    static const Prefix kGlobalUnicast = *Prefix::parse("2000::/3");
    if (!address.is_v4() && !kGlobalUnicast.contains(address)) return false;
    return std::none_of(special().begin(), special().end(),
                        [&](const Prefix& prefix) { return prefix.contains(address); });
}

}  // namespace cvlan
