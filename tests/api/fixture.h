// SPDX-License-Identifier: Apache-2.0
#pragma once

// A controller's inside without its sockets: real CA, real keys, real SQLite in a temporary folder.
// Requests go through the route table to the handlers, with the identity the test gives.

#include <gtest/gtest.h>

#include <filesystem>

#include "api/convert.h"
#include "api/router.h"
#include "base/event_loop.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "store/sqlite_store.h"

namespace cvlan::api {

using wire_map = model::wire::NodeMap;

struct ApiTest : testing::Test {
    std::string folder = [] {
        std::string pattern = testing::TempDir() + "cvlan-api-XXXXXX";
        return std::string(mkdtemp(pattern.data()));
    }();
    ManualClock clock{from_unix_ms(1'800'000'000'000)};
    EventLoop loop;
    pki::Authority authority = [this] {
        EXPECT_TRUE(pki::Authority::create(folder + "/pki", "test.cvlan.internal", clock.now()));
        return *pki::Authority::open(folder + "/pki");
    }();
    std::unique_ptr<store::Store> store =
        *store::open_sqlite(folder + "/db", clock, store::Create::Yes);
    pki::SigningKey controller_key = pki::SigningKey::generate();
    KeyRing keys{folder + "/keys"};
    maps::Maps maps{[this](const std::string& tenant, std::string payload) {
                        return keys.sign_map(tenant, std::move(payload));
                    },
                    clock};
    Auth auth{*store, "test.cvlan.internal", clock};
    Polls polls{loop, clock};
    Limiter limiter{5, clock};
    Context context{
        *store,    maps,
        authority, controller_key,
        keys,      auth,
        polls,     limiter,
        clock,     {{"https://controller.test:8443"}, {"https://controller.test:8443"}}};

    ApiTest() {
        store->on_event([this](const store::Event& event) {
            auth.forget(event.object_id);
            EXPECT_TRUE(maps.apply(event, *store));
        });
    }
    ~ApiTest() override { std::filesystem::remove_all(folder); }

    // As the operator, or with a node's certificate where one is given.
    http::Response ask(const std::string& method, const std::string& target, std::string body = "",
                       const std::string& certificate = "") {
        http::Request request;
        request.method = method;
        request.path = target.substr(0, target.find('?'));
        request.query =
            target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
        request.body = std::move(body);
        request.request_id = "request-1";
        request.peer = *Endpoint::parse("198.51.100.7:40000");
        request.client_certificate_pem = certificate;
        for (const Route& route : routes()) {
            const size_t hole = route.pattern.find("{id}");
            const std::string_view path = request.path;
            std::string id;
            if (hole != std::string_view::npos) {
                const std::string_view tail = route.pattern.substr(hole + 4);
                if (!path.starts_with(route.pattern.substr(0, hole)) ||
                    path.size() != hole + 36 + tail.size() || !path.ends_with(tail))
                    continue;
                id = path.substr(hole, 36);
            } else if (path != route.pattern) {
                continue;
            }
            if (route.method != method) continue;
            auto query = Query::parse(request.query, route.query);
            EXPECT_TRUE(query) << query.error().message;
            return dispatch(route, {request, id, *query});
        }
        ADD_FAILURE() << "no route " << method << " " << target;
        return {};
    }

    http::Response dispatch(const Route& route, const Call& call) {
        if (auto* open_to_all = std::get_if<PublicHandler>(&route.handler))
            return (*open_to_all)(context, call);
        if (auto* for_operator = std::get_if<OperatorHandler>(&route.handler))
            return (*for_operator)(context, call, {0, true});
        auto who = auth.node(call.request);
        if (auto* refused = std::get_if<http::Response>(&who)) return *refused;
        return std::get<NodeHandler>(route.handler)(context, call, std::get<NodeIdentity>(who));
    }

    template <class T>
    T expect(int status, const http::Response& response) {
        EXPECT_EQ(response.status, status) << response.body;
        auto document = model::decode<T>(response.body, model::kDocument);
        EXPECT_TRUE(document) << document.error().message;
        return document.value_or(T{});
    }
    std::string code_of(const http::Response& response) {
        return expect<model::wire::Problem>(response.status, response).code;
    }

    std::string make_tenant(const std::string& name = "acme") {
        return expect<model::wire::Tenant>(
                   201, ask("POST", "/api/v1/tenants", R"({"name":")" + name + "\"}"))
            .id;
    }
    std::string make_network(const std::string& tenant, const std::string& ipv4 = "10.100.0.0/24",
                             const std::string& name = "office") {
        return expect<model::wire::Network>(
                   201,
                   ask("POST", "/api/v1/networks",
                       fmt::format(R"({{"tenantId":"{}","name":"{}","ipv4":"{}","ipv6":"auto"}})",
                                   tenant, name, ipv4)))
            .id;
    }
    model::wire::TokenCreated make_token(const std::string& tenant, const std::string& network,
                                         int uses = 1) {
        return expect<model::wire::TokenCreated>(
            201, ask("POST", "/api/v1/tokens",
                     fmt::format(R"({{"tenantId":"{}","networkId":"{}","uses":{}}})", tenant,
                                 network, uses)));
    }

    static wire_map whole_map(const http::Response& response) {
        std::string text = response.body;
        for (const auto& chunk : response.chunks) text += *chunk;
        return *model::decode<wire_map>(text, model::kDocument);
    }
    static model::wire::MapFragment fragment_of(const model::wire::SignedBytes& bytes) {
        return *model::decode<model::wire::MapFragment>(as_text(bytes.payload), model::kDocument);
    }

    struct TestNode {
        pki::TlsKey key;
        std::string wireguard_key = base64(random_bytes(32));
        model::wire::Enrolment enrolment{};
    };
    TestNode new_node() { return {*pki::TlsKey::generate()}; }
    model::wire::EnrolRequest enrol_request(const TestNode& node, const std::string& token,
                                            const std::string& name) {
        model::wire::EnrolRequest request;
        request.token = token;
        const auto read = pki::parse_token(token);
        request.csr = *pki::create_csr(
            node.key, read ? pki::enrolment_binding(read->claims, *from_base64(node.wireguard_key))
                           : std::string());
        request.wireguard_public_key = node.wireguard_key;
        if (!name.empty()) request.name = name;
        request.listen_port = 51820;
        request.protocol_version = 1;
        return request;
    }
    http::Response enrol(const TestNode& node, const std::string& token, const std::string& name) {
        return ask("POST", "/api/v1/enrol", encode(enrol_request(node, token, name)));
    }
    TestNode enrolled(const std::string& token, const std::string& name) {
        TestNode node = new_node();
        node.enrolment = expect<model::wire::Enrolment>(201, enrol(node, token, name));
        return node;
    }
};

}  // namespace cvlan::api
