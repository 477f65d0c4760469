// SPDX-License-Identifier: Apache-2.0
#pragma once

// A whole controller on the test's loop, with clients beside it: a unix socket for the operator,
// TLS for nodes.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "daemons/controller/controller.h"
#include "http/client.h"
#include "model/wire.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "tests/daemons/controller/ask.h"
#include "tests/http/raw_client.h"
#include "tests/support/free_port.h"
#include "tests/support/temp_dir.h"

namespace cvlan::controller {

namespace wire = model::wire;

using test::free_port;

struct TestNode {
    wire::Enrolment enrolment;
    SecretText key;
};

struct ControllerTest : testing::Test {
    test::TempDir folder;
    SystemClock clock;
    EventLoop loop;
    ControllerConfig config = [this] {
        ControllerConfig made;
        made.state_dir = folder.path() + "/state";
        made.admin_socket = folder.path() + "/admin.sock";
        made.api = {*Address::parse("127.0.0.1"), free_port()};
        made.discovery = made.registration = made.session = made.api;
        return made;
    }();
    std::unique_ptr<Controller> controller;

    void start() {
        ASSERT_TRUE(set_up(config, "127.0.0.1", clock));
        auto started = Controller::start(loop, config, clock);
        ASSERT_TRUE(started) << started.error().message;
        controller = std::move(*started);
    }
    http::Response ask(http::ClientOptions options, http::ClientRequest request) {
        return controller::ask(loop, std::move(options), std::move(request));
    }
    http::Response admin(const std::string& method, const std::string& target,
                         std::string body = "") {
        http::ClientOptions options;
        options.unix_path = config.admin_socket;
        return ask(std::move(options), {method, target, {}, std::move(body)});
    }
    template <class T>
    T made(const http::Response& response) {
        EXPECT_EQ(response.status, 201) << response.body;
        return model::decode<T>(response.body, model::kDocument).value_or(T{});
    }
    http::ClientOptions tls() {
        http::ClientOptions options;
        options.host = "127.0.0.1";
        options.port = config.api.port;
        options.trust.ca_spki_sha256 = token->claims.ca_spki;
        return options;
    }
    http::ClientOptions as(const TestNode& node) {
        auto options = tls();
        options.certificate_pem = node.enrolment.certificate;
        options.private_key_pem = node.key.clone();
        return options;
    }

    // The answer to exactly these bytes.
    std::string raw(http::test::RawClient client, const std::string& request) {
        std::string answer;
        std::thread asking([&] {
            client.send(request);
            answer = client.message();
            loop.post([this] { loop.stop(); });
        });
        loop.run();
        asking.join();
        return answer;
    }

    std::optional<pki::UnverifiedToken> token;
    std::string token_text;
    void make_token() {
        const auto tenant =
            made<wire::Tenant>(admin("POST", "/api/v1/tenants", R"({"name":"acme"})")).id;
        const auto network =
            made<wire::Network>(
                admin("POST", "/api/v1/networks",
                      fmt::format(R"({{"tenantId":"{}","name":"lan","ipv4":"10.1.0.0/24"}})",
                                  tenant)))
                .id;
        token_text = made<wire::TokenCreated>(
                         admin("POST", "/api/v1/tokens",
                               fmt::format(R"({{"tenantId":"{}","networkId":"{}","uses":9}})",
                                           tenant, network)))
                         .token;
        token = *pki::parse_token(token_text);
    }
    wire::EnrolRequest enrol_request(const pki::TlsKey& key) {
        wire::EnrolRequest request;
        request.token = token_text;
        const Bytes wireguard_key = random_bytes(32);
        request.csr = *pki::create_csr(key, pki::enrolment_binding(token->claims, wireguard_key));
        request.wireguard_public_key = base64(wireguard_key);
        request.protocol_version = 1;
        return request;
    }
    TestNode enrol() {
        const auto key = *pki::TlsKey::generate();
        const auto answer = ask(tls(), {"POST", "/api/v1/enrol", {}, encode(enrol_request(key))});
        return {made<wire::Enrolment>(answer), *key.to_pem()};
    }
    TestNode enrol_relay() {
        const auto key = *pki::TlsKey::generate();
        wire::EnrolRequest request;
        request.token =
            made<wire::TokenCreated>(admin("POST", "/api/v1/tokens",
                                           fmt::format(R"({{"tenantId":"{}","role":"RELAY"}})",
                                                       token->claims.tenant_id)))
                .token;
        const auto claims = pki::parse_token(request.token)->claims;
        request.csr = *pki::create_csr(key, pki::enrolment_binding(claims, Bytes{}));
        request.protocol_version = 1;
        const auto answer = ask(tls(), {"POST", "/api/v1/enrol", {}, encode(request)});
        return {made<wire::Enrolment>(answer), *key.to_pem()};
    }
    wire::NodeMap map_of(const http::Response& response) {
        EXPECT_EQ(response.status, 200) << response.body;
        return model::decode<wire::NodeMap>(response.body, model::kDocument)
            .value_or(wire::NodeMap{});
    }
    static std::string since(const wire::NodeMap& map) {
        return fmt::format("/api/v1/node/map?since={}.{}", map.epoch, map.revision);
    }
    static std::string held_since(const wire::NodeMap& map) {
        return fmt::format("/api/v1/node/map?wait=30&since={}.{}", map.epoch, map.revision);
    }
};

}  // namespace cvlan::controller
