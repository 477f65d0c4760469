// SPDX-License-Identifier: Apache-2.0
#include "api/router.h"

#include <charconv>

#include "api/error.h"
#include "api/idempotency.h"
#include "base/log.h"
#include "model/wire.h"

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

// What the audit keeps: who was not known, not allowed or held back, and what could not be changed.
// A read that finds nothing is one only where it named an id.
bool is_refused_attempt(const Route& route, int status) {
    switch (status) {
        case 401:
        case 403:
        case 429:
            return true;
        case 404:
            return route.method != "GET" || route.pattern.find("{id}") != std::string_view::npos;
        case 409:
        case 410:
            return route.method != "GET";
        default:
            return false;
    }
}

std::string code_of(const http::Response& response) {
    const auto problem = model::decode<model::wire::Problem>(response.body, model::kDocument);
    return problem ? problem->code : fmt::format("{}", response.status);
}

// RFC 9110 section 13.1.1. What can not be an ETag of ours is one that the object has not.
std::optional<store::Revision> expected_of(const http::Request& request) {
    const std::string* match = request.header("If-Match");
    if (!match || *match == "*") return std::nullopt;
    store::Revision revision = -1;
    const char* end = match->data() + match->size();
    if (match->size() < 3 || match->front() != '"' || match->back() != '"') return -1;
    const auto [stop, error] = std::from_chars(match->data() + 1, end - 1, revision);
    return error == std::errc() && stop == end - 1 && revision >= 0 ? revision : -1;
}

Result<bool> validates_only(const Query& query) {
    const auto given = query.text("validateOnly");
    if (!given || *given == "false") return false;
    if (*given == "true") return true;
    return fail(Code::Invalid, "query parameter 'validateOnly': must be true or false");
}

// Calls the handler with the identity that its type asks for, and with the store of that one.
struct Dispatch {
    Context& context;
    const Route& route;
    const Call& call;
    http::Reply reply;

    void operator()(PublicHandler handler) {
        Who who;
        const auto store = store_of(who.actor);
        auto response = handler(context, on(*store, &who));
        send(std::move(response), who);
    }
    void operator()(const OnWorker& handler) { work(context.enrolling, {}, handler.run); }
    void operator()(HeldPublicHandler handler) {
        if (!context.refusals->are_written()) return reply.send(audit_unavailable());
        const auto store = store_of("anonymous");
        handler(context, on(*store), std::move(reply));
    }
    void operator()(NodeHandler handler) {
        auto who = context.auth.node(call.request);
        if (auto* refused = std::get_if<http::Response>(&who))
            return send(std::move(*refused), shown());
        const auto& identity = std::get<Identity>(who);
        const Who named{name_of(*identity), identity->tenant_id};
        if (const auto wait = context.node_writes->too_soon(identity->node_id))
            return send(held_back(*wait), named);
        work(
            context.reporting, named,
            [handler, identity](Context& with, const Call& asked) {
                return handler(with, asked, *identity);
            },
            context.auth.first_use(*identity));
    }
    void operator()(HeldNodeHandler handler) {
        auto who = context.auth.node(call.request);
        if (auto* refused = std::get_if<http::Response>(&who))
            return send(std::move(*refused), shown());
        const auto& identity = std::get<Identity>(who);
        if (const auto use = context.auth.first_use(*identity))
            return use_first(*use, handler, identity);
        handler(context, on(context.store), identity, std::move(reply));
    }
    void operator()(const Admin& handler) {
        const auto who = admit(handler.needs);
        if (!who) return;
        auto repeatable = Idempotency::of(call.request, who->actor);
        if (!repeatable)
            return reply.send(error_response(repeatable.error(), call.request.request_id));
        const auto store = store_of(who->actor, repeatable->key());
        if (auto answered = repeatable->earlier(*store, call.request))
            return reply.send(std::move(*answered));
        auto response = handler.run(context, on(*store), *who);
        repeatable->keep(*store, response);
        send(std::move(response), named(*who));
    }
    void operator()(const HeldAdmin& handler) {
        const auto who = admit(handler.needs);
        if (!who) return;
        const auto store = store_of(who->actor);
        handler.run(context, on(*store), *who, std::move(reply));
    }

private:
    http::Response held_back(std::chrono::seconds wait) const {
        context.metrics->held_back.add();
        auto response =
            refusal(429, "TOO_MANY_WRITES", "this node writes too often", call.request.request_id);
        response.headers.push_back({"Retry-After", std::to_string(wait.count())});
        return response;
    }
    http::Response too_many() const {
        return error_response({Code::Unavailable, "too many of these at once"},
                              call.request.request_id);
    }
    using Work = std::function<http::Response(Context&, const Call&)>;
    using Use = std::optional<Auth::FirstUse>;
    void work(Workers& workers, Who who, Work run, Use use = std::nullopt) {
        const auto task =
            std::make_shared<Task>(Task{context, route, call.request, call.query, std::move(reply),
                                        std::move(who), std::move(use)});
        const bool is_taken = workers.run([task, run = std::move(run)]() mutable {
            task->run(run);
            EventLoop& loop = *task->request.loop;
            loop.post([task = std::move(task)] { task->answer(); });
        });
        if (!is_taken) task->reply.send(too_many());
    }
    // What a poll has to wait for the disk for, once, keeps no other waiting.
    void use_first(Auth::FirstUse use, HeldNodeHandler handler, const Identity& identity) {
        const auto task = std::make_shared<Task>(
            Task{context, route, call.request, call.query, std::move(reply), {}, std::move(use)});
        const bool is_taken = context.reporting.run([task, handler, identity] {
            task->context.auth.write(*task->use);
            task->request.loop->post([task, handler, identity] { task->hold(handler, identity); });
        });
        if (!is_taken) task->reply.send(too_many());
    }
    // A request that outlives its call, and what came of it.
    struct Task {
        Context& context;
        const Route& route;
        http::Request request;
        Query query;
        http::Reply reply;
        Who who{};
        Use use{};
        http::Response response{};

        void run(const Work& handler) {
            const log::Trace trace(request.trace_id);
            if (use) context.auth.write(*use);
            const auto store = context.store.as(cause_of(request, who.actor));
            try {
                response = handler(context, {request, {}, query, *store, false, &who});
            } catch (const std::exception& failure) {  // as where a connection calls its handler
                log::error("http.handler_failed", {{"error", failure.what()}});
                response =
                    error_response({Code::Internal, "the request failed"}, request.request_id);
            }
        }
        // These on the loop of the connection.
        void hold(HeldNodeHandler handler, const Identity& identity) {
            const log::Trace trace(request.trace_id);
            context.auth.forget(identity->node_id);
            if (reply.client_gone()) return;
            handler(context, {request, {}, query, context.store}, identity, std::move(reply));
        }
        void answer() {
            if (use) context.auth.forget(use->node.id);
            const Call asked{request, {}, query, context.store};
            Dispatch{context, route, asked, std::move(reply)}.send(std::move(response), who);
        }
    };
    // nullopt where the answer was given already.
    std::optional<AdminIdentity> admit(Needs needs) {
        auto who = context.admins.admin(call.request);
        if (auto* refused = std::get_if<http::Response>(&who)) {
            send(std::move(*refused), shown());
            return std::nullopt;
        }
        auto& identity = std::get<AdminIdentity>(who);
        if (auto refused = refuse_role(identity, needs, call.request)) {
            send(std::move(*refused), named(identity));
            return std::nullopt;
        }
        // Who looks may find out why.
        if (route.method != "GET" && !context.refusals->are_written()) {
            reply.send(audit_unavailable());
            return std::nullopt;
        }
        if (route.needs_match && !call.request.header("If-Match")) {
            reply.send(refusal(428, "PRECONDITION_REQUIRED",
                               "this change needs If-Match with the object's ETag",
                               call.request.request_id));
            return std::nullopt;
        }
        return std::move(identity);
    }
    static Who named(const AdminIdentity& who) { return {who.actor, who.scope.value_or("")}; }
    http::Response audit_unavailable() const {
        return refusal(503, "AUDIT_UNAVAILABLE",
                       "the audit can not be written, so nothing may be changed",
                       call.request.request_id);
    }
    static std::string name_of(const NodeIdentity& identity) { return "node:" + identity.node_id; }
    // Of somebody who was turned away: TLS has verified the certificate, if there is one.
    Who shown() const {
        const auto node = context.auth.shown(call.request);
        return node ? Who{name_of(*node), node->tenant_id} : Who{};
    }
    void send(http::Response response, const Who& who) {
        if (is_refused_attempt(route, response.status)) note(response, who);
        reply.send(std::move(response));
    }
    void note(const http::Response& response, const Who& who) const {
        context.refusals->note({who.tenant_id, cause(who.actor),
                                fmt::format("{} {}", route.method, route.pattern), call.id,
                                who.outcome.empty() ? code_of(response) : who.outcome, 1,
                                context.clock.now()});
    }
    store::Cause cause(std::string actor) const {
        auto made = cause_of(call.request, std::move(actor));
        made.validate_only = call.validate_only;
        made.expected = expected_of(call.request);
        return made;
    }
    std::unique_ptr<store::Store> store_of(
        std::string actor, std::optional<store::IdempotencyKey> key = std::nullopt) const {
        store::Cause who = cause(std::move(actor));
        who.idempotency = std::move(key);
        return context.store.as(who);
    }
    Call on(store::Store& store, Who* who = nullptr) const {
        return {call.request, call.id, call.query, store, call.validate_only, who};
    }
};

}  // namespace

store::Cause cause_of(const http::Request& request, std::string actor) {
    return {std::move(actor), request.local ? "unix" : request.peer.address.text(),
            request.request_id};
}

namespace {

struct Found {
    const Route& route;
    std::string id;
};

// With an answer owed to a request whose thread this is.
void run(Context& context, Found found, const http::Request& request, http::Reply reply) {
    const Route& route = found.route;
    auto query = Query::parse(request.query, route.query);
    const log::Trace trace(request.trace_id);
    if (!query) return reply.send(error_response(query.error(), request.request_id));
    if (log::is_written(log::Level::Debug))
        log::debug(
            "api.request",
            {{"method", request.method}, {"path", route.pattern}, {"request", request.request_id}});
    auto dry = validates_only(*query);
    if (!dry) return reply.send(error_response(dry.error(), request.request_id));
    const Call call{request, std::move(found.id), std::move(*query), context.store, *dry};
    std::visit(Dispatch{context, route, call, std::move(reply)}, route.handler);
}

void run_where_it_belongs(Context& context, Found found, http::Request request, http::Reply reply) {
    context.metrics->watch(&found.route, reply);
    EventLoop* here = request.loop;
    EventLoop* there = here && context.loop_of ? &context.loop_of(found.route, *here) : here;
    if (there == here) return run(context, std::move(found), request, std::move(reply));
    request.loop = there;
    const auto asked = std::make_shared<const http::Request>(std::move(request));
    http::hand_over(std::move(reply), *here, *there, [&context, found, asked](http::Reply owed) {
        run(context, found, *asked, std::move(owed));
    });
}

}  // namespace

void handle(Context& context, const Roles& roles, http::Request request, http::Reply reply) {
    std::string allowed;
    for (const Route& route : routes()) {
        if (!roles.contains(route.role)) continue;
        auto id = match(route.pattern, request.path);
        if (!id) continue;
        if (route.method == request.method)
            return run_where_it_belongs(context, {route, std::move(*id)}, std::move(request),
                                        std::move(reply));
        allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
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
