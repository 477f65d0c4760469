// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/local_api.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"

namespace cvlan::agent {

namespace {

constexpr size_t kMaxPings = 64;
constexpr int64_t kPingTimeoutMs = 1000;

http::Response json(std::string body) {
    http::Response response;
    response.content_type = "application/json";
    response.body = std::move(body);
    return response;
}

http::Response problem_of(const Refusal& refusal, std::string_view request_id) {
    int status = refusal.status;
    if (status < 400) {  // no answer of the controller
        switch (refusal.error.code) {
            case Code::Unavailable:
                status = 503;
                break;
            case Code::Denied:
                status = 403;
                break;
            case Code::NotFound:
                status = 404;
                break;
            case Code::Invalid:
                status = 400;
                break;
            default:
                status = 500;
        }
    }
    std::string code = refusal.code;
    if (code.empty()) code = status == 503 ? "UNAVAILABLE" : "FAILED";
    return http::problem({status, code, refusal.error.message}, request_id);
}

// std::function wants to be copied, a Reply does not.
std::shared_ptr<http::Reply> shared(http::Reply reply) {
    return std::make_shared<http::Reply>(std::move(reply));
}

template <class T>
auto answer_with(std::shared_ptr<http::Reply> reply, std::string request_id) {
    return [reply = std::move(reply), id = std::move(request_id)](const Answer<T>& answer) {
        reply->send(answer ? json(encode(*answer)) : problem_of(answer.error(), id));
    };
}

}  // namespace

bool may_change(const http::Request& request, uid_t own_uid) {
    return request.local && (request.local->uid == 0 || request.local->uid == own_uid);
}

Result<std::unique_ptr<LocalApi>> LocalApi::listen(EventLoop& loop, Agent& agent,
                                                   const AgentConfig& config) {
    std::unique_ptr<LocalApi> api(new LocalApi(loop, agent));
    const std::string folder = std::filesystem::path(config.socket).parent_path().string();
    if (auto made = make_directories(folder, 0755); !made) return failed(made.error());
    http::UnixSocket socket{config.socket};
    auto group = socket_group(config);
    if (!group) return failed(group.error());
    socket.group = *group;
    http::Service service;
    LocalApi* raw = api.get();
    service.handler = [raw](http::Request request, http::Reply reply) {
        raw->handle(std::move(request), std::move(reply));
    };
    // `up` waits as long as it was asked to, at most 600 s.
    service.limits.held = std::chrono::seconds(660);
    service.limits.body_bytes = 64 * 1024;
    service.limits.connections = 256;
    service.limits.allowed_hosts = {"localhost"};
    auto server = http::Server::listen_unix(loop, socket, std::move(service));
    if (!server) return failed(server.error().while_doing("socket " + config.socket));
    api->server_ = std::move(*server);
    return api;
}

void LocalApi::handle(http::Request request, http::Reply reply) {
    if (!request.path.starts_with("/local/v1/"))
        return reply.send(
            http::problem({404, "NOT_FOUND", "no such resource"}, request.request_id));
    request.path.erase(0, std::string_view("/local/v1/").size());
    if (request.method == "GET") return read(request, std::move(reply));
    if (request.method == "POST" && request.path == "netcheck")
        return agent_.netcheck(
            answer_with<local::NetcheckReport>(shared(std::move(reply)), request.request_id));
    if (request.method == "POST" && request.path == "ping") return ping(request, std::move(reply));
    if (request.method != "POST")
        return reply.send(
            http::problem({405, "METHOD_NOT_ALLOWED", "GET or POST"}, request.request_id));
    if (!may_change(request, geteuid()))
        return reply.send(
            http::problem({403, "NOT_PERMITTED", "only root may change the state of this node"},
                          request.request_id));
    change(request, std::move(reply));
}

void LocalApi::read(const http::Request& request, http::Reply reply) {
    if (request.path == "status") return reply.send(json(encode(agent_.status())));
    if (request.path == "plan") {
        auto plan = agent_.plan();
        return reply.send(plan ? json(encode(*plan))
                               : problem_of(Refusal{plan.error()}, request.request_id));
    }
    if (request.path == "ipsec")
        return agent_.ipsec_list(
            answer_with<local::IpsecList>(shared(std::move(reply)), request.request_id));
    reply.send(http::problem({404, "NOT_FOUND", "no such resource"}, request.request_id));
}

void LocalApi::change(const http::Request& request, http::Reply reply) {
    auto held = shared(std::move(reply));
    if (request.path == "up") {
        auto body = model::decode<local::UpRequest>(request.body.empty() ? "{}" : request.body);
        if (!body)
            return held->send(
                problem_of(Refusal{body.error(), 400, "INVALID"}, request.request_id));
        return agent_.up(*body, answer_with<local::UpResult>(held, request.request_id));
    }
    if (request.path == "down")
        return answer_with<local::DownResult>(held, request.request_id)(agent_.down());
    if (request.path == "logout")
        return agent_.logout(answer_with<local::LogoutResult>(held, request.request_id));
    if (request.path == "ipsec/rekey")
        return ipsec_change(ike::Ask::What::Rekey, request, std::move(held));
    if (request.path == "ipsec/terminate")
        return ipsec_change(ike::Ask::What::Terminate, request, std::move(held));
    held->send(http::problem({404, "NOT_FOUND", "no such resource"}, request.request_id));
}

void LocalApi::ipsec_change(ike::Ask::What what, const http::Request& request,
                            std::shared_ptr<http::Reply> reply) {
    auto body = model::decode<local::IpsecRequest>(request.body);
    if (!body)
        return reply->send(problem_of(Refusal{body.error(), 400, "INVALID"}, request.request_id));
    agent_.ipsec_change(what, body->peer,
                        answer_with<local::IpsecResult>(std::move(reply), request.request_id));
}

void LocalApi::ping(const http::Request& request, http::Reply reply) {
    auto body = model::decode<local::PingRequest>(request.body);
    if (!body)
        return reply.send(problem_of(Refusal{body.error(), 400, "INVALID"}, request.request_id));
    auto place = agent_.find_peer(body->peer);
    if (!place)
        return reply.send(problem_of(Refusal{place.error(), 404, "NOT_FOUND"}, request.request_id));
    if (pings_.size() >= kMaxPings)
        return reply.send(http::problem({503, "BUSY", "too many pings"}, request.request_id));

    const uint64_t id = next_ping_++;
    auto held = shared(std::move(reply));
    const Ping::Target target{place->address, place->device, place->netns,
                              std::chrono::milliseconds(body->timeout_ms.value_or(kPingTimeoutMs))};
    auto ping = Ping::start(loop_, target, [this, id, held, place = *place](auto trip) {
        // The handshake may have made the path: what stands now is what is told.
        auto now = agent_.find_peer(place.peer.id);
        local::PingResult result;
        result.answered = trip.has_value();
        result.peer = place.peer.name;
        result.address = place.address.text();
        result.path = now ? now->peer.path : place.peer.path;
        result.endpoint = now ? now->peer.endpoint : place.peer.endpoint;
        result.relay = now ? now->peer.relay : place.peer.relay;
        result.vrouter = place.peer.vrouter;
        if (trip) result.rtt_microseconds = trip->count();
        held->send(json(encode(result)));
        pings_.erase(id);
    });
    if (!ping)
        return held->send(problem_of(Refusal{ping.error(), 500, "PING"}, request.request_id));
    pings_[id] = std::move(*ping);
}

}  // namespace cvlan::agent
