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
    discovery.trust_bundle = context.authority->trust_bundle();
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

http::Response list_quarantine(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return error_response(scope.error(), call.request.request_id);
    wire::QuarantineList list;
    for (const maps::Quarantined& object : context.maps.quarantine().list(*scope)) {
        const maps::Place& place = object.place;
        list.objects.push_back(
            {place.tenant_id, place.network_id, std::nullopt, object.reason, object.since});
        if (!place.node_id.empty()) list.objects.back().node_id = place.node_id;
    }
    return json_response(200, list);
}

http::Response metrics(Context& context, const SessionFigures& session) {
    http::Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics_text(context, session);
    return response;
}

}  // namespace cvlan::api
