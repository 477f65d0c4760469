// SPDX-License-Identifier: Apache-2.0
#include "api/convert.h"

#include <algorithm>
#include <array>

namespace cvlan::api {

namespace wire = model::wire;

model::Inventory from_wire(const wire::Inventory& inventory) {
    return {inventory.hostname.value_or(""),      inventory.os.value_or(""),
            inventory.kernel.value_or(""),        inventory.architecture.value_or(""),
            inventory.agent_version.value_or(""), inventory.mac_addresses};
}

std::vector<wire::MapKey> map_keys(const pki::TenantKeys& keys) {
    return {{keys.map.kid(), keys.map.public_key().bytes()}};
}

Result<store::Filter> read_filter(const Query& query, const AdminIdentity& who) {
    store::Filter filter;
    auto scope = scope_of(who, query);
    if (!scope) return failed(scope.error());
    auto network = query.uuid("network");
    if (!network) return failed(network.error());
    auto size = query.integer("pageSize", 1, 1000, 100);
    if (!size) return failed(size.error());
    filter.tenant = *scope;
    filter.owner = owner_filter(who);
    filter.network_id = *network;
    filter.name = query.text("name");
    filter.page_size = static_cast<int>(*size);
    filter.page_token = query.text("pageToken").value_or("");
    return filter;
}

namespace {
bool is_in(const model::Network& network, const Address& address) {
    return (network.ipv4 && network.ipv4->contains(address)) ||
           (network.ipv6 && network.ipv6->contains(address));
}

bool can_be_endpoint(const Address& address) {
    return !address.is_unspecified() && !address.is_loopback() && !address.is_link_local() &&
           !address.is_multicast() && !address.is_v4_mapped();
}
}  // namespace

Result<std::vector<Endpoint>> read_endpoints(const std::vector<std::string>& texts,
                                             const model::Network& network) {
    std::vector<Endpoint> endpoints;
    for (size_t i = 0; i < texts.size(); ++i) {
        auto endpoint = Endpoint::parse(texts[i]);
        std::string why = endpoint ? "" : endpoint.error().message;
        if (endpoint && (endpoint->port == 0 || !can_be_endpoint(endpoint->address)))
            why = fmt::format("{} can be nobody's endpoint", endpoint->text());
        // A tunnel inside itself: the overlay's own addresses are no way to reach it. A node whose
        // underlay lies in there (F80) can not know that when it enrols.
        if (why.empty() && is_in(network, endpoint->address)) continue;
        if (!why.empty()) {
            Error error{Code::Invalid, fmt::format("endpoints: {}", why)};
            error.pointer = fmt::format("/endpoints/{}", i);
            return failed(error);
        }
        if (std::find(endpoints.begin(), endpoints.end(), *endpoint) == endpoints.end())
            endpoints.push_back(*endpoint);
    }
    return endpoints;
}

void add_observed(std::vector<Endpoint>& endpoints, const Endpoint& seen, uint16_t listen_port,
                  const model::Network& network) {
    if (listen_port == 0 || !can_be_endpoint(seen.address) || is_in(network, seen.address)) return;
    const Endpoint observed{seen.address, listen_port};
    if (std::find(endpoints.begin(), endpoints.end(), observed) == endpoints.end())
        endpoints.push_back(observed);
}

Result<void> check_wireguard_key(const std::string& text) {
    // The points of small order on Curve25519 (RFC 7748, section 6.1; cr.yp.to/ecdh.html),
    // little-endian with the unused top bit clear: with one of them every shared secret is known to
    // all.
    static const std::array<std::string_view, 7> kLowOrder{
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    auto bytes = from_base64(text);
    std::string why;
    if (!bytes || bytes->size() != 32) why = "must be 32 bytes in base64";
    if (why.empty()) {
        bytes->back() = static_cast<uint8_t>(bytes->back() & 0x7F);
        if (std::find(kLowOrder.begin(), kLowOrder.end(), hex(*bytes)) != kLowOrder.end())
            why = "is a point of low order, which gives no secret";
    }
    if (why.empty()) return {};
    Error error{Code::Invalid, fmt::format("wireguardPublicKey {}", why)};
    error.pointer = "/wireguardPublicKey";
    return failed(error);
}

}  // namespace cvlan::api
