// SPDX-License-Identifier: Apache-2.0
#pragma once

// A controller of few lines, over real TLS on loopback. Tests turn the loop until something is so;
// nothing sleeps.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "http/server.h"
#include "tests/enrolee/issuer.h"

namespace cvlan::enrolee::testing {

// True as soon as `claim` is; a test that waits for 20 s has failed.
inline bool until(EventLoop& loop, const std::function<bool()>& claim) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < end) {
        if (claim()) return true;
        loop.run_once(std::chrono::milliseconds(10));
    }
    return false;
}

class FakeController {
public:
    // `network` of its tokens; where it is empty they are relays'.
    explicit FakeController(EventLoop& loop, std::string network = kNetwork)
        : loop_(loop), network_(std::move(network)) {
        start();
    }

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
    std::string token() const { return issuer.token(url(), network_); }
    std::string token(const std::string& network) const { return issuer.token(url(), network); }

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
    std::function<void(wire::Enrolment&)> spoil;  // its answers to enrolments
    std::string map_query;
    bool knows_traffic = true;  // else it refuses a report that has it, as those of before it
    bool has_twin = false;      // another machine takes every held query over
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
            auto answer = issuer.enrol(body->csr, url(), network_);
            if (spoil) spoil(answer);
            return reply.send(json(201, encode(answer)));
        }
        EXPECT_TRUE(request.client_certificate);
        if (request.path == "/api/v1/node/certificate") {
            const auto asked = model::decode<wire::RenewRequest>(request.body);
            const auto fresh = issuer.enrol(asked->csr, url(), network_);
            return reply.send(json(
                200, encode(wire::Renewal{fresh.certificate, fresh.trust_bundle, fresh.map_keys})));
        }
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
        if (request.path == "/api/v1/node/health") {
            auto report = *model::decode<wire::HealthReport>(request.body);
            if (!knows_traffic && !report.traffic.empty())
                return reply.send(http::problem({400, "INVALID", "/traffic: unknown field"}, "r"));
            health = std::move(report);
        }
        reply.send(json(204, ""));
    }

    EventLoop& loop_;
    const std::string network_;
    uint16_t port_ = 0;
    std::unique_ptr<http::Server> server_;
    std::optional<wire::NodeMap> map_;
    std::optional<http::Problem> refusal_;
    std::vector<std::unique_ptr<http::Reply>> held_;
};

}  // namespace cvlan::enrolee::testing
