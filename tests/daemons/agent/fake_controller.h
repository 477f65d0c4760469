// SPDX-License-Identifier: Apache-2.0
#pragma once

// A controller of few lines, over real TLS on loopback, and the agent with a kernel in memory.
// Tests turn the loop until something is so; nothing sleeps.

#include <gtest/gtest.h>

#include "daemons/agent/agent.h"
#include "daemons/agent/local_api.h"
#include "http/server.h"
#include "tests/daemons/agent/support.h"
#include "tests/support/fake_host.h"

namespace cvlan::agent::testing {

class FakeController {
public:
    explicit FakeController(EventLoop& loop) : loop_(loop) { start(); }

    void start() {
        const auto key = pki::TlsKey::generate();
        const auto issued = issuer.authority.issue_server(*key, {"127.0.0.1"}, kNow);
        http::TlsServerOptions tls;
        tls.certificate_chain_pem = issued->chain_pem;
        tls.private_key_pem = std::move(*key->to_pem());
        tls.client_ca_pem = issuer.authority.trust_bundle();
        tls.client_cert = http::ClientCert::Optional;
        http::Service service;
        service.handler = [this](const http::Request& request, http::Reply reply) {
            handle(request, std::move(reply));
        };
        const Endpoint at{*Address::parse("127.0.0.1"), port_};
        auto server = http::Server::listen_tls(loop_, at, tls, std::move(service));
        if (!server) std::abort();
        server_ = std::move(*server);
        port_ = server_->port();
    }
    void stop() {
        held_.clear();
        server_.reset();
    }
    std::string url() const { return fmt::format("https://127.0.0.1:{}", port_); }
    std::string token(const std::string& network = kNetwork) const {
        return issuer.token(url(), network);
    }

    // The map from now on; whoever waits for one gets it.
    void publish(wire::NodeMap map) {
        map_ = std::move(map);
        for (auto& reply : held_) reply->send(json(200, encode(*map_)));
        held_.clear();
    }
    void refuse(int status, const std::string& code) {
        refusal_ = {status, code, "because"};
        for (auto& reply : held_) reply->send(http::problem(*refusal_, "r"));
        held_.clear();
    }

    void relent() { refusal_.reset(); }

    Issuer issuer;
    std::vector<std::string> requests;  // "POST /api/v1/enrol"
    std::optional<wire::EnrolRequest> enrolment;
    std::optional<wire::EndpointReport> endpoints;
    std::optional<wire::HealthReport> health;
    std::string map_query;
    bool has_twin = false;  // another machine takes every held query over
    size_t held() const { return held_.size(); }
    size_t connections() const { return server_->stats().connections; }

private:
    static http::Response json(int status, std::string body) {
        http::Response response;
        response.status = status;
        response.content_type = "application/json";
        response.body = std::move(body);
        return response;
    }
    void handle(const http::Request& request, http::Reply reply) {
        requests.push_back(request.method + " " + request.path);
        if (refusal_) return reply.send(http::problem(*refusal_, "r"));
        if (request.path == "/api/v1/enrol") {
            auto body = model::decode<wire::EnrolRequest>(request.body);
            EXPECT_TRUE(body);
            enrolment = *body;
            return reply.send(json(201, encode(issuer.enrol(body->csr, url()))));
        }
        EXPECT_TRUE(request.client_certificate);
        if (request.path == "/api/v1/node/map") {
            map_query = request.query;
            const bool has_it =
                map_ && request.query.find(fmt::format("since={}.{}", map_->epoch,
                                                       map_->revision)) != std::string::npos;
            if (map_ && !has_it) return reply.send(json(200, encode(*map_)));
            if (request.query.starts_with("wait=0")) return reply.send(json(304, ""));
            if (has_twin)
                return reply.send(http::problem({409, "SESSION_REPLACED", "taken over"}, "r"));
            held_.push_back(std::make_unique<http::Reply>(std::move(reply)));
            return;
        }
        if (request.path == "/api/v1/node/endpoints")
            endpoints = *model::decode<wire::EndpointReport>(request.body);
        if (request.path == "/api/v1/node/health")
            health = *model::decode<wire::HealthReport>(request.body);
        reply.send(json(204, ""));
    }

    EventLoop& loop_;
    uint16_t port_ = 0;
    std::unique_ptr<http::Server> server_;
    std::optional<wire::NodeMap> map_;
    std::optional<http::Problem> refusal_;
    std::vector<std::unique_ptr<http::Reply>> held_;
};

// One agent on a machine whose kernel is in memory and outlives it.
class Machine {
public:
    explicit Machine(EventLoop& loop) : loop_(loop) {
        underlay = {{*Prefix::parse("192.0.2.0/24")}, {*Address::parse("192.0.2.1")}, true, false};
    }

    // Starts the agent, or starts it anew on the state and the kernel that are there.
    void start() {
        agent.reset();
        AgentParts parts{loop_,
                         clock,
                         config,
                         *StateDir::open(folder.file("state")),
                         std::make_unique<Borrowed>(kernel),
                         [this] { return underlay; },
                         [](uint16_t first, const std::vector<uint16_t>& used) {
                             while (std::find(used.begin(), used.end(), first) != used.end())
                                 ++first;
                             return first;
                         }};
        auto opened = Agent::open(std::move(parts));
        ASSERT_TRUE(opened) << opened.error().message;
        agent = std::move(*opened);
        agent->start();
    }
    // Turns the loop until `claim` holds; a test that waits for 5 s has failed.
    bool until(const std::function<bool()>& claim) {
        for (int i = 0; i < 500; ++i) {
            if (claim()) return true;
            loop_.run_once(std::chrono::milliseconds(10));
        }
        return false;
    }
    Answer<local::UpResult> up(const local::UpRequest& request) {
        std::optional<Answer<local::UpResult>> answer;
        agent->up(request, [&](Answer<local::UpResult> a) { answer = std::move(a); });
        if (!until([&] { return answer.has_value(); }))
            return tl::unexpected(Refusal{Error{Code::Internal, "up did not answer"}});
        return *answer;
    }
    local::SelfState state() { return agent->status().self.state; }
    const tests::FakeHost::Device* device() {
        const auto found = kernel.devices.find(reconcile::device_name(kNetwork));
        return found == kernel.devices.end() ? nullptr : &found->second;
    }

    class Borrowed final : public reconcile::Host {
    public:
        explicit Borrowed(tests::FakeHost& host) : host_(host) {}
        Result<reconcile::Observed> observe(const reconcile::Desired& want,
                                            reconcile::Scope scope) override {
            return host_.observe(want, scope);
        }
        std::vector<reconcile::StepFailure> apply(std::span<const reconcile::Step> steps) override {
            return host_.apply(steps);
        }

    private:
        tests::FakeHost& host_;
    };

    test::TempDir folder;
    AgentConfig config;
    ManualClock clock{kNow};
    tests::FakeHost kernel;
    reach::Underlay underlay;
    std::unique_ptr<Agent> agent;

private:
    EventLoop& loop_;
};

}  // namespace cvlan::agent::testing
