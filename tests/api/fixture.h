// SPDX-License-Identifier: Apache-2.0
#pragma once

// A controller's inside without its sockets: real CA, real keys, real SQLite in a temporary folder,
// or PostgreSQL where CVLAN_TEST_STORE says so. Requests go through api::handle, as they do from a
// socket.

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <filesystem>

#include "api/convert.h"
#include "api/router.h"
#include "base/event_loop.h"
#include "http/exchange.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "store/sql_store.h"
#include "tests/support/test_store.h"

namespace cvlan::api {

using wire_map = model::wire::NodeMap;

// The first of `pem`, as if TLS had verified it; none if it is empty.
inline http::PeerCertificate certificate_of(const std::string& pem) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509* leaf = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    ERR_clear_error();
    return leaf ? http::PeerCertificate(leaf) : http::PeerCertificate();
}

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
    Snapshot<pki::Authority> shared_authority{*pki::Authority::open(folder + "/pki")};
    struct Database {  // a server's, which goes after the store
        std::string name =
            test::is_postgres() ? test::PostgresServer::instance().new_database() : "";
        ~Database() {
            if (!name.empty()) test::PostgresServer::instance().drop_database(name);
        }
    } database;
    std::unique_ptr<store::Store> store = open_store();
    pki::SigningKey controller_key = pki::SigningKey::generate();
    KeyRing keys{folder + "/keys"};
    maps::Maps maps{[this](const std::string& tenant, std::string payload) {
                        return keys.sign_map(tenant, std::move(payload));
                    },
                    clock};
    Auth auth{*store, "test.cvlan.internal", clock};
    AdminAuth admins{*store, clock};
    Passwords passwords{loop, {.memory_kib = 8, .passes = 1}};
    Workers enrolling{{"enrolling", 4}};
    Workers reporting{{"reporting", 4}};
    Polls polls{loop, clock};
    Limiter limiter{5, clock};
    Context context{*store,
                    maps,
                    shared_authority,
                    controller_key,
                    keys,
                    auth,
                    admins,
                    passwords,
                    enrolling,
                    reporting,
                    polls,
                    limiter,
                    clock,
                    {{"https://controller.test:8443"}, {"https://controller.test:8443"}}};

    std::unique_ptr<store::Store> open_store() {
        if (database.name.empty())
            return *store::open_sqlite(folder + "/db", clock, store::Create::Yes);
        const auto url = test::PostgresServer::instance().database_url(database.name);
        return *store::open_postgres({url, {}}, clock, store::Create::Yes);
    }
    ApiTest() {
        store->on_event([this](const store::Event& event) {
            auth.forget(event.object_id);
            admins.forget(event.object_id);
            if (event.object_id == event.tenant_id) auth.forget_tenant(event.tenant_id);
            EXPECT_TRUE(maps.apply(*maps::read_change(event, *store)));
        });
    }
    ~ApiTest() override { std::filesystem::remove_all(folder); }

    // Who asks, and through which of the controller's listeners.
    struct Caller {
        std::string certificate{};  // of a node, as TLS verified it
        std::optional<http::LocalPeer> local{};
        Roles roles{Role::Discovery, Role::Registration, Role::Session, Role::Api};
        http::Headers headers{};
        std::string if_match{};
    };

    http::Response ask_as(const Caller& caller, const std::string& method,
                          const std::string& target, std::string body = "") {
        http::Request request;
        request.method = method;
        request.path = target.substr(0, target.find('?'));
        request.query =
            target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
        request.body = std::move(body);
        request.request_id = "request-1";
        request.peer = *Endpoint::parse("198.51.100.7:40000");
        request.client_certificate = certificate_of(caller.certificate);
        request.local = caller.local;
        request.loop = &loop;
        request.headers = caller.headers;
        if (!caller.if_match.empty()) request.headers.push_back({"If-Match", caller.if_match});
        std::optional<http::Response> answer;
        const auto exchange = std::make_shared<http::Exchange>(
            http::Exchange{[&](http::Response response) { answer = std::move(response); }});
        handle(context, caller.roles, std::move(request), http::Reply(exchange));
        for (int tries = 0; !answer && tries < 100; ++tries)
            loop.run_once(std::chrono::milliseconds(100));
        exchange->answer = nullptr;
        EXPECT_TRUE(answer) << method << " " << target << " was not answered";
        return answer.value_or(http::Response{.status = 0});
    }
    // As the operator, or with a node's certificate where one is given.
    http::Response ask(const std::string& method, const std::string& target, std::string body = "",
                       const std::string& certificate = "") {
        Caller caller{certificate};
        if (certificate.empty()) caller.local = http::LocalPeer{};  // root
        return ask_as(caller, method, target, std::move(body));
    }

    // As the operator, of an object that must not have changed since it answered with this ETag.
    http::Response ask_if(const std::string& etag, const std::string& method,
                          const std::string& target, std::string body = "") {
        Caller caller{.local = http::LocalPeer{}, .if_match = etag};
        return ask_as(caller, method, target, std::move(body));
    }
    static std::string etag_of(const http::Response& response) {
        for (const http::Header& header : response.headers)
            if (header.name == "ETag") return header.value;
        return "";
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
