// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/enrolment.h"

#include "http/origin.h"

namespace cvlan::agent {

namespace wire = model::wire;

namespace {

Result<wg::PublicKey> public_key(const Identity& identity, const std::string& network_id) {
    const auto* keys = identity.network(network_id);
    if (!keys) return fail(Code::Internal, "no keys for network {}", network_id);
    auto key = device_key(*keys);
    if (!key) return failed(key.error());
    return key->public_key();
}

}  // namespace

Result<void> prepare(Identity& identity, const model::TokenClaims& claims, bool is_join) {
    if (auto origin = http::parse_origin(claims.url); !origin)
        return failed(origin.error().while_doing("token"));
    if (auto keys = keys_for(identity, claims.network_id); !keys) return failed(keys.error());
    return is_join ? Result<void>() : enrolee::trust_token(identity, claims);
}

Result<wire::EnrolRequest> enrol_request(const Identity& identity, const std::string& network_id,
                                         const Introduction& introduction) {
    auto key = public_key(identity, network_id);
    if (!key) return failed(key.error());
    auto request = enrolee::enrol_request(identity, introduction.token, key->bytes(),
                                          {"map-delta", "wireguard"});
    if (!request) return failed(request.error());
    request->wireguard_public_key = key->text();
    request->name = introduction.name;
    request->listen_port = identity.network(network_id)->listen_port;
    request->endpoints = introduction.endpoints;
    request->inventory = introduction.inventory;
    return request;
}

Result<wire::JoinRequest> join_request(const Identity& identity, const std::string& network_id,
                                       const Introduction& introduction) {
    auto key = public_key(identity, network_id);
    if (!key) return failed(key.error());
    wire::JoinRequest request;
    request.token = introduction.token;
    request.wireguard_public_key = key->text();
    request.listen_port = identity.network(network_id)->listen_port;
    request.endpoints = introduction.endpoints;
    return request;
}

}  // namespace cvlan::agent
