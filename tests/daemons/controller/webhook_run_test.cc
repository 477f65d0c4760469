// SPDX-License-Identifier: Apache-2.0
// Webhooks against a real TLS server: what it is told, how it can check that, and whom nothing is
// told.
#include "daemons/controller/webhook_run.h"

#include <gtest/gtest.h>

#include "base/hmac.h"
#include "http/server.h"
#include "store/sql_store.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_ca.h"

namespace cvlan::controller {
namespace {

using namespace std::chrono_literals;

struct WebhookRunTest : testing::Test {
    test::TempDir folder;
    ManualClock clock{from_unix_ms(1'800'000'000'000)};
    EventLoop loop;
    test::TestCa ca{"receiver"};
    std::unique_ptr<store::Store> store =
        *store::open_sqlite(folder.file("db"), clock, store::Create::Yes);
    std::string tenant = new_uuid(1);
    int status = 204;
    std::vector<http::Request> told;
    std::unique_ptr<http::Server> server = [this] {
        const auto issued = ca.issue({});
        http::TlsServerOptions tls{issued.cert_pem, SecretText(issued.key_pem)};
        return *http::Server::listen_tls(
            loop, *Endpoint::parse("127.0.0.1:0"), tls,
            {[this](http::Request request, http::Reply reply) {
                told.push_back(std::move(request));
                http::Response response{.status = status};
                if (status == 302) response.headers = {{"Location", "https://127.0.0.1/else"}};
                reply.send(std::move(response));
            }});
    }();
    bool is_allowed = true;
    std::vector<const char*> secrets{"secret"};
    WebhookParts parts{loop, clock, ca.pem(), [this](const Address&) { return is_allowed; },
                       [this](const store::Webhook&) {
                           std::vector<SecretText> made;
                           made.reserve(secrets.size());
                           for (const char* secret : secrets) made.emplace_back(secret);
                           return made;
                       }};
    JobRunner runner{{loop, *store, clock, "a", 1ms, 0ms}, {webhook_job(parts)}};

    WebhookRunTest() {
        EXPECT_TRUE(store->create_tenant({tenant, "acme", {}}));
        EXPECT_TRUE(store->webhooks().create(
            {tenant, "hook", fmt::format("https://localhost:{}/hook?a=b", server->port()), {}}));
        EXPECT_TRUE(runner.start());
    }
    store::Webhook hook() { return store->webhooks().list({})->items.at(0); }
    void rename(const std::string& name) {
        ASSERT_TRUE(store->update_tenant(tenant, {.name = name}));
    }
    void run_until(const std::function<bool()>& is_so) {
        for (int turns = 0; !is_so() && turns < 2000; ++turns) loop.run_once(10ms);
        EXPECT_TRUE(is_so()) << hook().last_result;
    }
};

TEST_F(WebhookRunTest, TellsEachEventOnceInOrderAndSigned) {
    rename("one");
    rename("two");
    run_until([&] { return hook().delivered == store->tenant(tenant)->revision; });
    ASSERT_EQ(told.size(), 2u);
    const http::Request& first = told.front();
    EXPECT_EQ(first.method, "POST");
    EXPECT_EQ(first.path + "?" + first.query, "/hook?a=b");
    EXPECT_NE(first.body.find(R"("event":"TENANT_RENAMED")"), std::string::npos) << first.body;
    EXPECT_NE(first.body.find(R"("revision":"2")"), std::string::npos) << first.body;
    EXPECT_NE(told.back().body.find(R"("revision":"3")"), std::string::npos);
    const std::string signed_text = "1800000000." + first.body;
    ASSERT_TRUE(first.header("CVLAN-Signature"));
    EXPECT_EQ(*first.header("CVLAN-Signature"),
              "t=1800000000,v1=" + hex(hmac_sha256(as_bytes("secret"), as_bytes(signed_text))));
    EXPECT_EQ(hook().last_result, "204");
}

TEST_F(WebhookRunTest, SignsWithEachSecretWhileTwoOverlap) {
    secrets = {"new", "old"};
    rename("one");
    run_until([&] { return !told.empty(); });
    ASSERT_EQ(told.size(), 1u);
    const std::string signed_text = "1800000000." + told.front().body;
    const auto by = [&](const char* secret) {
        return hex(hmac_sha256(as_bytes(std::string_view(secret)), as_bytes(signed_text)));
    };
    EXPECT_EQ(*told.front().header("CVLAN-Signature"),
              "t=1800000000,v1=" + by("new") + ",v1=" + by("old"));
}

TEST_F(WebhookRunTest, TriesAgainLaterAndLater) {
    status = 500;
    rename("one");
    run_until([&] { return hook().attempts == 1; });
    EXPECT_EQ(hook().next_try_at, clock.now() + 5s);
    clock.advance(5s);
    run_until([&] { return hook().attempts == 2; });
    EXPECT_EQ(hook().next_try_at, clock.now() + 10s);
    EXPECT_EQ(hook().last_result, "500");
    status = 200;
    clock.advance(10s);
    run_until([&] { return hook().attempts == 0; });
    EXPECT_EQ(told.size(), 3u);
    EXPECT_EQ(told.front().body, told.back().body);
}

TEST_F(WebhookRunTest, FollowsNoRedirect) {
    status = 302;
    rename("one");
    run_until([&] { return hook().attempts == 1; });
    EXPECT_EQ(hook().last_result, "302: a redirect is not followed");
    EXPECT_EQ(told.size(), 1u);
}

// The name is good and its certificate too; what it resolves to is not.
TEST_F(WebhookRunTest, ConnectsToNoAddressThatIsNotAllowed) {
    is_allowed = false;
    rename("one");
    run_until([&] { return hook().attempts == 1; });
    EXPECT_NE(hook().last_result.find("none of its addresses is allowed"), std::string::npos)
        << hook().last_result;
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(server->stats().accepted, 0u);
}

TEST_F(WebhookRunTest, TellsNothingToWhoCanNotProveItsName) {
    parts.ca_pem = test::TestCa("another").pem();
    rename("one");
    run_until([&] { return hook().attempts == 1; });
    EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace cvlan::controller
