// SPDX-License-Identifier: Apache-2.0
#pragma once

// A site behind a device that is no part of CloudVLAN, joined to a network by an IPsec tunnel of
// its vrouter, and what such a connection may say. Pure. Errors name the field as the API does.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "base/result.h"
#include "model/wire.h"

namespace cvlan::model {

// As the vrouter has it. Its secret is no part of it.
struct MapConnection {
    std::string id{};
    std::string name{};
    std::vector<Address> remote_addresses{};  // of the device; empty: it calls us
    std::string remote_identity{};            // one that ike_identity_kind() knows
    std::string local_identity{};             // a host name, and no other connection's
    wire::IpsecAuth auth = wire::IpsecAuth::Psk;
    std::string remote_ca{};  // PEM, of Certificate: one CA, or the device's own certificate
    std::vector<Prefix> local_subnets{};  // in a map never empty
    std::vector<Prefix> remote_subnets{};
    std::vector<std::string> ike_proposals{};  // strongSwan's names; empty: what nodes use
    std::vector<std::string> esp_proposals{};  // likewise
    wire::IpsecStart start = wire::IpsecStart::Trap;
    std::chrono::seconds dpd{30};
    std::chrono::seconds rekey{3600};  // of ESP's keys
    int64_t secret_revision = 0;       // of Psk: counts its secrets, from 1
    bool operator==(const MapConnection&) const = default;
};

// As the controller has it; without local subnets: the network's, and the vrouter's routes.
struct Connection : MapConnection {
    std::string tenant_id{};
    std::string network_id{};
    bool enabled = true;
    int64_t revision = 0;
    WallTime created_at{};
};

inline constexpr size_t kShortestSecret = 16, kLongestSecret = 256;  // bytes

// `<connection id>.ike.<trust domain>`: charon chooses a connection by identities, and a secret by
// those of both ends, so none is another connection's.
std::string local_ike_identity(std::string_view connection_id, std::string_view trust_domain);

// What stands for one device and no other. A name with a wildcard, or one that charon would take
// for any, is Invalid, and so is what begins with a type of its own ("keyid:").
enum class IkeIdentityKind { Address, HostName, Mail, DistinguishedName };
Result<IkeIdentityKind> ike_identity_kind(std::string_view text);

// All but that it overlaps nothing, and that its certificate is one.
Result<void> check_connection(const MapConnection& connection);
// Proposals that name algorithms which FIPS 140-3 does not approve are Invalid; none are good.
Result<void> check_approved(const MapConnection& connection);

// The canonical form of each alone. `field` is the API's: "remoteSubnets".
Result<std::vector<Address>> parse_addresses(std::string_view field,
                                             const std::vector<std::string>& texts);
Result<std::vector<Prefix>> parse_prefixes(std::string_view field,
                                           const std::vector<std::string>& texts);
template <class T>
std::vector<std::string> texts_of(const std::vector<T>& values) {
    std::vector<std::string> texts;
    texts.reserve(values.size());
    for (const T& value : values) texts.push_back(value.text());
    return texts;
}

// A fragment's connection, checked. Without local subnets it has none here either.
Result<MapConnection> from_wire(const std::string& id, const wire::MapConnection& told);

}  // namespace cvlan::model
