// SPDX-License-Identifier: Apache-2.0
#include "api/self.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

http::Response report_endpoints(Context& context, const Call& call, const NodeIdentity& who) {
    auto body = model::decode<wire::EndpointReport>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    // All is read before anything is written: a report with one bad entry changes nothing.
    std::vector<store::NodeEndpoints> reports;
    for (const wire::NetworkEndpoints& entry : body->networks) {
        auto network = context.store.network(who.tenant_id, entry.network_id);
        if (!network) return error_response(network.error(), call.request.request_id);
        auto endpoints = read_endpoints(entry.endpoints);
        if (!endpoints) return error_response(endpoints.error(), call.request.request_id);
        const auto port = static_cast<uint16_t>(entry.listen_port);
        add_observed(*endpoints, call.request.peer, port);
        model::leave_out_overlay(*endpoints, *network);
        reports.push_back(
            {entry.network_id, port, std::move(*endpoints), body->relay_id.value_or("")});
    }
    for (const store::NodeEndpoints& report : reports) {
        auto set = call.store.set_endpoints(who.key(), report);
        if (!set) return error_response(set.error(), call.request.request_id);
    }
    return no_content();
}

http::Response report_inventory(Context&, const Call& call, const NodeIdentity& who) {
    auto body = model::decode<wire::Inventory>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto set = call.store.set_inventory(who.key(), from_wire(*body));
    if (!set) return error_response(set.error(), call.request.request_id);
    return no_content();
}

http::Response renew_certificate(Context& context, const Call& call, const NodeIdentity& who) {
    auto body = model::decode<wire::RenewRequest>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto csr = pki::Csr::parse(body->csr);
    if (!csr) {
        Error error = csr.error().while_doing("csr");
        error.pointer = "/csr";
        return error_response(error, call.request.request_id);
    }
    auto node = context.store.node(who.tenant_id, who.node_id);
    if (!node) return error_response(node.error(), call.request.request_id);
    auto keys = context.keys.of(who.tenant_id);
    if (!keys) return error_response(keys.error(), call.request.request_id);
    auto issued = context.authority->issue_node(*csr, {who.tenant_id, who.node_id, node->role},
                                                context.clock.now());
    if (!issued) return error_response(issued.error(), call.request.request_id);
    auto renewed = call.store.renew_certificate(
        who.key(), {who.serial, csr->key_hash(), {issued->serial, issued->not_after}});
    if (!renewed) return error_response(renewed.error(), call.request.request_id);
    log::info(
        "api.certificate_renewed",
        {{"tenant", who.tenant_id}, {"node", who.node_id}, {"until", rfc3339(issued->not_after)}});
    return json_response(
        201, wire::Renewal{issued->chain_pem, context.authority->trust_bundle(), map_keys(**keys)});
}

http::Response leave(Context&, const Call& call, const NodeIdentity& who) {
    auto gone = call.store.delete_node(who.key());
    if (!gone) return error_response(gone.error(), call.request.request_id);
    log::info("api.node_left", {{"tenant", who.tenant_id}, {"node", who.node_id}});
    return no_content();
}

void node_map(Context& context, const Call& call, const Identity& who, http::Reply reply) {
    const std::string request_id = call.request.request_id;
    std::optional<maps::Since> since;
    if (const auto text = call.query.text("since")) {
        auto read = maps::Since::parse(*text);
        if (!read) return reply.send(error_response(read.error(), request_id));
        since = *read;
    }
    auto wait = call.query.integer("wait", 0, 60, 0);
    if (!wait) return reply.send(error_response(wait.error(), request_id));
    auto protocol = call.query.integer("protocolVersion", 1, 1000, 1);
    if (!protocol) return reply.send(error_response(protocol.error(), request_id));

    const auto networks = context.maps.networks_of(who->tenant_id, who->node_id);
    // Asked now, and again at each change: whoever was revoked meanwhile hears that instead.
    const auto ask = [&context, who, since, networks,
                      request_id]() -> std::optional<http::Response> {
        if (auto refused = context.auth.standing(*who, request_id)) return refused;
        auto answer = context.maps.answer(who->tenant_id, who->node_id, since);
        // It came in at another controller a moment ago.
        if (!answer && answer.error().code == Code::NotFound)
            return error_response({Code::Unavailable, "this node is still to come to the maps"},
                                  request_id);
        if (!answer) return error_response(answer.error(), request_id);
        // Who came ahead of the maps has its new networks already, but waits for the old ones.
        if (!*answer && context.maps.networks_of(who->tenant_id, who->node_id) != networks)
            return http::Response{.status = 304};
        return *answer;
    };
    if (auto now = ask()) return reply.send(std::move(*now));
    if (*wait == 0 || context.draining) return reply.send(http::Response{.status = 304});
    context.polls.hold(
        {who->tenant_id, who->node_id, request_id, networks, std::chrono::seconds(*wait)}, ask,
        std::move(reply));
}

}  // namespace cvlan::api
