// SPDX-License-Identifier: Apache-2.0
#include "reach/way.h"

#include <algorithm>

namespace cvlan::reach {

std::optional<Way> way_of(const Endpoint& endpoint, const Underlay& underlay) {
    const Address& address = endpoint.address;
    if (endpoint.port == 0 || address.is_unspecified() || address.is_multicast() ||
        address.is_loopback() || address.is_link_local() || address.is_v4_mapped())
        return std::nullopt;
    const bool is_carried = underlay.nat64 && Nat64::carries(address);
    if (address.is_v4() ? !underlay.has_v4 && !is_carried : !underlay.has_v6) return std::nullopt;
    if (std::find(underlay.own.begin(), underlay.own.end(), address) != underlay.own.end())
        return std::nullopt;
    for (const Prefix& subnet : underlay.subnets)
        if (subnet.contains(address)) return Way::SameSubnet;
    if (address.is_private()) return Way::Elsewhere;
    return address.is_v4() ? Way::PublicV4 : Way::PublicV6;
}

}  // namespace cvlan::reach
