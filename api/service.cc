// SPDX-License-Identifier: Apache-2.0
#include "api/service.h"

#include "api/error.h"
#include "base/version.h"
#include "model/wire.h"

namespace cvlan::api {

namespace wire = model::wire;

http::Response discover(Context& context, const Call&) {
    wire::Discovery discovery;
    discovery.registration = context.settings.registration_urls;
    discovery.session = context.settings.session_urls;
    discovery.trust_bundle = context.authority.trust_bundle();
    discovery.oldest_agent = kVersion;
    // The signature covers the document without itself.
    auto made = pki::sign_bytes(context.controller_key, wire::encode(discovery));
    const auto payload = as_bytes(made.payload);
    discovery.signature = wire::SignedBytes{made.kid, Bytes(payload.begin(), payload.end()),
                                            std::move(made.signature)};
    auto response = json_response(200, discovery);
    response.headers.push_back({"Cache-Control", "public, max-age=300"});
    return response;
}

http::Response health(Context&, const Call&) { return json_response(200, wire::Health{"ok"}); }

http::Response ready(Context& context, const Call& call) {
    if (context.draining)
        return refusal(503, "DRAINING", "this controller is stopping", call.request.request_id);
    auto page = context.store.tenants(
        {.tenant = {}, .name = {}, .network_id = {}, .page_size = 1, .page_token = {}});
    if (!page) return error_response(page.error(), call.request.request_id);
    return json_response(200, wire::Health{"ready"});
}

http::Response version(Context&, const Call&) {
    return json_response(200, wire::Version{kVersion, kProtocolVersion});
}

http::Response metrics(Context& context, const Call&) {
    const maps::Counters& maps = context.maps.counters();
    struct Metric {
        const char* name;
        const char* kind;
        const char* help;
        uint64_t value;
    };
    const Metric all[] = {
        {"map_fragments_encoded_total", "counter", "Map fragments encoded and signed.",
         maps.fragments_encoded},
        {"node_maps_touched_total", "counter", "Maps of nodes that a change concerned.",
         maps.node_maps_touched},
        {"map_heads_signed_total", "counter", "Map heads signed.", maps.heads_signed},
        {"maps_full_total", "counter", "Full maps sent.", maps.full_maps},
        {"maps_delta_total", "counter", "Map deltas sent.", maps.deltas},
        {"map_full_bytes_total", "counter", "Bytes of full maps sent.", maps.bytes_full},
        {"map_delta_bytes_total", "counter", "Bytes of map deltas sent.", maps.bytes_delta},
        {"store_commits_total", "counter", "Transactions that waited for the disk.",
         context.store.commits()},
        {"polls_waiting", "gauge", "Nodes that wait for a change.", context.polls.waiting()},
    };
    http::Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    for (const Metric& metric : all)
        response.body += fmt::format(
            "# HELP cvlan_controller_{0} {1}\n# TYPE cvlan_controller_{0} {2}\n"
            "cvlan_controller_{0} {3}\n",
            metric.name, metric.help, metric.kind, metric.value);
    return response;
}

}  // namespace cvlan::api
