// SPDX-License-Identifier: Apache-2.0
#include "api/router.h"

#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace {

// The id in `path` where it has the shape of `pattern`; nullopt where it has not.
std::optional<std::string> match(std::string_view pattern, std::string_view path) {
    const size_t hole = pattern.find("{id}");
    if (hole == std::string_view::npos) {
        if (path != pattern) return std::nullopt;
        return std::string();
    }
    const std::string_view before = pattern.substr(0, hole);
    const std::string_view after = pattern.substr(hole + 4);
    if (!path.starts_with(before)) return std::nullopt;
    const std::string_view rest = path.substr(before.size());
    // Only a canonical UUID is an id: no escape, no upper case, no path inside.
    if (rest.size() != 36 + after.size() || !rest.ends_with(after) || !is_uuid(rest.substr(0, 36)))
        return std::nullopt;
    return std::string(rest.substr(0, 36));
}

// Calls the handler with the identity that its type asks for, and with the store of that one.
struct Dispatch {
    Context& context;
    const Call& call;
    http::Reply reply;

    void operator()(PublicHandler handler) {
        const auto store = store_of("anonymous");
        reply.send(handler(context, on(*store)));
    }
    void operator()(NodeHandler handler) {
        auto who = context.auth.node(call.request);
        if (auto* refused = std::get_if<http::Response>(&who))
            return reply.send(std::move(*refused));
        const auto& identity = std::get<NodeIdentity>(who);
        const auto store = store_of("node:" + identity.node_id);
        reply.send(handler(context, on(*store), identity));
    }
    void operator()(HeldNodeHandler handler) {
        auto who = context.auth.node(call.request);
        if (auto* refused = std::get_if<http::Response>(&who))
            return reply.send(std::move(*refused));
        const auto& identity = std::get<NodeIdentity>(who);
        const auto store = store_of("node:" + identity.node_id);
        handler(context, on(*store), identity, std::move(reply));
    }
    void operator()(const Admin& handler) {
        auto who = admin_on_socket(call.request);
        if (auto* refused = std::get_if<http::Response>(&who))
            return reply.send(std::move(*refused));
        const auto& identity = std::get<AdminIdentity>(who);
        if (auto refused = refuse_role(identity, handler.needs, call.request))
            return reply.send(std::move(*refused));
        const auto store = store_of(identity.actor);
        reply.send(handler.run(context, on(*store), identity));
    }

private:
    std::unique_ptr<store::Store> store_of(std::string actor) const {
        const http::Request& request = call.request;
        return context.store.as({std::move(actor),
                                 request.local ? "unix" : request.peer.address.text(),
                                 request.request_id});
    }
    Call on(store::Store& store) const { return {call.request, call.id, call.query, store}; }
};

}  // namespace

void handle(Context& context, const Roles& roles, http::Request request, http::Reply reply) {
    std::string allowed;
    for (const Route& route : routes()) {
        if (!roles.contains(route.role)) continue;
        auto id = match(route.pattern, request.path);
        if (!id) continue;
        if (route.method != request.method) {
            allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
            continue;
        }
        auto query = Query::parse(request.query, route.query);
        context.metrics->watch(&route, reply);
        const log::Trace trace(request.trace_id);
        if (!query) return reply.send(error_response(query.error(), request.request_id));
        log::debug(
            "api.request",
            {{"method", request.method}, {"path", route.pattern}, {"request", request.request_id}});
        const Call call{request, std::move(*id), std::move(*query), context.store};
        return std::visit(Dispatch{context, call, std::move(reply)}, route.handler);
    }
    context.metrics->watch(nullptr, reply);
    if (allowed.empty())
        return reply.send(refusal(404, "NOT_FOUND", "no such resource", request.request_id));
    auto response = refusal(405, "METHOD_NOT_ALLOWED",
                            fmt::format("this resource takes {}", allowed), request.request_id);
    response.headers.push_back({"Allow", allowed});
    reply.send(std::move(response));
}

}  // namespace cvlan::api
