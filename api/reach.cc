// SPDX-License-Identifier: Apache-2.0
#include "api/reach.h"

#include <utility>

#include "api/convert.h"
#include "api/error.h"
#include "api/nodes.h"
#include "model/relay_map.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

Result<wire::SignedBytes> sign_grant(Context& context, const model::Node& node,
                                     const model::Membership& place, WallTime now) {
    wire::RelayGrant grant;
    grant.tenant_id = node.tenant_id;
    grant.node_id = node.id;
    grant.network_id = place.network_id;
    grant.wireguard_public_key = place.wireguard_key;
    grant.issued_at = now;
    grant.expires_at = now + model::kRelayGrantLife;
    return context.keys.sign_map(node.tenant_id, encode(grant));
}

Result<wire::HealthReport> read_report(const std::string& body) {
    auto report = model::decode<wire::HealthReport>(body);
    if (!report) return report;
    for (size_t i = 0; i < report->peers.size(); ++i) {
        const auto& endpoint = report->peers[i].endpoint;
        if (endpoint && !Endpoint::parse(*endpoint))
            return failed(Error{Code::Invalid, "endpoint: must be ADDRESS:PORT", 0,
                                fmt::format("/peers/{}/endpoint", i)});
    }
    return report;
}

wire::NodePeer show(const store::NodeHealth::Peer& peer) {
    wire::NodePeer shown;
    shown.network_id = peer.told.network_id;
    shown.network_name = peer.network_name;
    shown.node_id = peer.told.node_id;
    shown.name = peer.name;
    shown.path = peer.told.path;
    shown.endpoint = peer.told.endpoint;
    shown.relay_id = peer.told.relay_id;
    if (!peer.relay_name.empty()) shown.relay_name = peer.relay_name;
    shown.rtt_ms = peer.told.rtt_ms;
    return shown;
}

}  // namespace

http::Response make_relay_grants(Context& context, const Call& call, const NodeIdentity& who) {
    // Before the node is looked at: one that is shut out after that is barred at the relays for
    // longer than its grants live (model/relay_map.h).
    const WallTime now = context.clock.now();
    auto node = context.store.node(who.tenant_id, who.node_id);
    if (!node) return error_response(node.error(), call.request.request_id);
    if (node->state == model::NodeState::Pending)
        return refusal(403, "NODE_PENDING", "this node waits for an administrator's approval",
                       call.request.request_id);
    if (node->state != model::NodeState::Active)
        return refusal(403, "NODE_REFUSED", "this node was shut out", call.request.request_id);
    wire::RelayGrants grants;
    for (const model::Membership& place : node->memberships) {
        auto grant = sign_grant(context, *node, place, now);
        if (!grant) return error_response(grant.error(), call.request.request_id);
        grants.grants.push_back(std::move(*grant));
    }
    return json_response(200, grants);
}

http::Response report_health(Context& context, const Call& call, const NodeIdentity& who) {
    auto report = read_report(call.request.body);
    if (!report) return error_response(report.error(), call.request.request_id);
    if (const auto wait = context.health_reports->too_soon(who.node_id)) {
        auto response = refusal(429, "TOO_MANY_REPORTS", "the report before was seconds ago",
                                call.request.request_id);
        response.headers.push_back({"Retry-After", std::to_string(wait->count())});
        return response;
    }
    auto put = call.store.health().put(who.key(), std::move(*report));
    if (!put) return error_response(put.error(), call.request.request_id);
    return no_content();
}

http::Response list_node_peers(Context&, const Call& call, const AdminIdentity& who) {
    auto node = find_node(call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    auto health = call.store.health().of({node->tenant_id, node->id});
    if (!health) return error_response(health.error(), call.request.request_id);
    wire::NodePeerList list;
    list.reported_at = health->reported_at;
    for (const auto& peer : health->peers) list.peers.push_back(show(peer));
    return json_response(200, list);
}

}  // namespace cvlan::api
