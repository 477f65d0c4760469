// SPDX-License-Identifier: Apache-2.0
#pragma once

// A controller of few lines, over real TLS on loopback, with real keys and certificates. Tests turn
// the loop until something is so; nothing sleeps.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/relay/enrolment.h"
#include "http/server.h"
#include "model/wire.h"
#include "pki/authority.h"
#include "pki/certificate.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "relay/frame.h"
#include "tests/support/temp_dir.h"

namespace cvlan::relayd::test {

inline const std::string kTenant = "01900000-0000-7000-8000-000000000001";
inline const std::string kNode = "01900000-0000-7000-8000-0000000000aa";  // the relay's
inline const std::string kNetwork = "01900000-0000-7000-8000-0000000000bb";
inline const WallTime kNow = SystemClock().now();  // TLS reads the real clock

inline std::string node_id(int n) { return fmt::format("01900000-0000-7000-8000-{:012x}", n); }

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
    explicit FakeController(EventLoop& loop) : loop_(loop) {
        if (!pki::Authority::create(folder_.path(), "cvlan.test", kNow)) std::abort();
        authority.emplace(*pki::Authority::open(folder_.path()));
        start();
    }

    void start() {
        const auto key = pki::TlsKey::generate();
        const auto issued = authority->issue_server(*key, {"127.0.0.1"}, kNow);
        http::TlsServerOptions tls;
        tls.certificate_chain_pem = issued->chain_pem;
        tls.private_key_pem = std::move(*key->to_pem());
        tls.client_ca_pem = authority->trust_bundle();
        tls.client_cert = http::ClientCert::Optional;
        http::Service service;
        service.handler = [this](const http::Request& request, http::Reply reply) {
            handle(request, std::move(reply));
        };
        auto server = http::Server::listen_tls(loop_, {*Address::parse("127.0.0.1"), port_}, tls,
                                               std::move(service));
        if (!server) std::abort();
        server_ = std::move(*server);
        port_ = server_->port();
    }
    void stop() {
        held_.clear();
        server_.reset();
    }
    std::string url() const { return fmt::format("https://127.0.0.1:{}", port_); }

    std::string token(model::TokenRole role = model::TokenRole::Relay) const {
        model::TokenClaims claims;
        claims.id = node_id(77);
        claims.tenant_id = kTenant;
        claims.role = role;
        if (role == model::TokenRole::Node) claims.network_id = kNetwork;
        claims.expires_at = kNow + std::chrono::hours(24);
        claims.nonce = Bytes(32, 7);
        claims.url = url();
        claims.ca_spki = authority->root_spki();
        return pki::make_token(claims, token_key)->reveal();
    }
    wire::Enrolment enrol(const std::string& csr_pem) const {
        wire::Enrolment answer;
        answer.node_id = kNode;
        answer.tenant_id = kTenant;
        answer.name = "r1";
        answer.trust_domain = "cvlan.test";
        answer.certificate = certificate(csr_pem, kNode);
        answer.trust_bundle = authority->trust_bundle();
        answer.map_keys = {{map_key.kid(), map_key.public_key().bytes()}};
        answer.session = answer.registration = {url()};
        return answer;
    }
    std::string certificate(const std::string& csr_pem, const std::string& node,
                            model::TokenRole role = model::TokenRole::Relay) const {
        return authority->issue_node(*pki::Csr::parse(csr_pem), {kTenant, node, role}, kNow)
            ->chain_pem;
    }

    wire::SignedBytes sign(std::string payload) const {
        auto bytes = pki::sign_bytes(map_key, std::move(payload));
        const auto view = as_bytes(bytes.payload);
        return {bytes.kid, Bytes(view.begin(), view.end()), bytes.signature};
    }
    // This relay at 192.0.2.9, and whom it must not serve.
    wire::NodeMap map(int64_t revision, const std::vector<std::string>& barred = {}) const {
        wire::MapHead head;
        head.tenant_id = kTenant;
        head.node_id = kNode;
        head.epoch = 1;
        head.revision = revision;
        head.issued_at = kNow;
        head.expires_at = kNow + std::chrono::hours(24 * 7);
        wire::MapFragment own;
        own.scope = kTenant;
        own.id = node_id(0x99);
        own.kind = wire::FragmentKind::Relay;
        own.revision = revision;
        own.relay.emplace();
        own.relay->name = "r1";
        own.relay->node_id = kNode;
        own.relay->endpoints = {"192.0.2.9:443"};
        own.relay->stun_port = 3478;
        wire::NodeMap made{wire::MapKind::Full, 1, revision, sign(encode(head)), {}};
        made.fragments.push_back(sign(encode(own)));
        for (const std::string& node : barred) {
            wire::MapFragment fragment;
            fragment.scope = kTenant;
            fragment.id = node;
            fragment.kind = wire::FragmentKind::Barred;
            fragment.revision = revision;
            fragment.barred.emplace();
            fragment.barred->node_id = node;
            fragment.barred->until = kNow + std::chrono::hours(25);
            made.fragments.push_back(sign(encode(fragment)));
        }
        return made;
    }
    // The map from now on; whoever waits for one is told.
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

    std::optional<pki::Authority> authority;
    pki::SigningKey token_key = pki::SigningKey::generate();
    pki::SigningKey map_key = pki::SigningKey::generate();
    std::vector<std::string> requests;  // "POST /api/v1/enrol"
    std::optional<wire::EnrolRequest> enrolment;
    std::function<void(wire::Enrolment&)> spoil;  // its next answer to an enrolment
    size_t held() const { return held_.size(); }

private:
    static http::Response json(int status, std::string body) {
        return {.status = status, .content_type = "application/json", .body = std::move(body)};
    }
    void handle(const http::Request& request, http::Reply reply) {
        requests.push_back(request.method + " " + request.path);
        if (refusal_) return reply.send(http::problem(*refusal_, "r"));
        if (request.path == "/api/v1/enrol") {
            enrolment = *model::decode<wire::EnrolRequest>(request.body);
            auto answer = enrol(enrolment->csr);
            if (spoil) spoil(answer);
            return reply.send(json(201, encode(answer)));
        }
        EXPECT_TRUE(request.client_certificate);
        if (request.path == "/api/v1/node/certificate") {
            const auto asked = model::decode<wire::RenewRequest>(request.body);
            wire::Renewal renewal;
            renewal.certificate = certificate(asked->csr, kNode);
            renewal.trust_bundle = authority->trust_bundle();
            renewal.map_keys = {{map_key.kid(), map_key.public_key().bytes()}};
            return reply.send(json(200, encode(renewal)));
        }
        EXPECT_EQ(request.path, "/api/v1/node/map");
        const std::string has =
            map_ ? fmt::format("since={}.{}", map_->epoch, map_->revision) : "nothing";
        if (map_ && request.query.find(has) == std::string::npos)
            return reply.send(json(200, encode(*map_)));
        if (request.query.starts_with("wait=0")) return reply.send(json(304, ""));
        held_.push_back(std::make_unique<http::Reply>(std::move(reply)));
    }

    EventLoop& loop_;
    cvlan::test::TempDir folder_;
    uint16_t port_ = 0;
    std::unique_ptr<http::Server> server_;
    std::optional<wire::NodeMap> map_;
    std::optional<http::Problem> refusal_;
    std::vector<std::unique_ptr<http::Reply>> held_;
};

// An identity of this controller's tenant, as enrolment leaves it.
inline Identity enrolled_by(const FakeController& controller) {
    auto claims = pki::parse_token(controller.token())->claims;
    auto identity = new_identity(claims);
    const auto request = enrol_request(*identity, controller.token(), "");
    if (!accept(*identity, controller.enrol(request->csr))) std::abort();
    return std::move(*identity);
}

}  // namespace cvlan::relayd::test
