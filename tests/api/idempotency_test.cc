// SPDX-License-Identifier: Apache-2.0
// F19: a POST whose answer was lost is sent again with its Idempotency-Key.
#include <fstream>

#include "api/idempotency.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

constexpr const char* kKey = "0b54a1c2-retry";

struct IdempotencyTest : ApiTest {
    http::Response post(const std::string& target, const std::string& body,
                        const std::string& key = kKey, uid_t uid = 0) {
        http::Request request;
        request.method = "POST";
        request.path = target;
        request.body = body;
        request.headers = {{"Idempotency-Key", key}};
        request.request_id = new_uuid(unix_ms(clock.now()));
        request.local = http::LocalPeer{uid, 0, 0};
        std::optional<http::Response> answer;
        const auto exchange = std::make_shared<http::Exchange>(
            http::Exchange{[&](http::Response response) { answer = std::move(response); }});
        handle(context, {Role::Api}, std::move(request), http::Reply(exchange));
        exchange->answer = nullptr;
        EXPECT_TRUE(answer);
        return answer.value_or(http::Response{});
    }
    http::Response tenant(const std::string& name, const std::string& key = kKey) {
        return post("/api/v1/tenants", R"({"name":")" + name + "\"}", key);
    }
    size_t tenants() { return store->tenants({})->items.size(); }
};

TEST_F(IdempotencyTest, TheSameRequestGetsTheSameAnswerAndHasOneEffect) {
    const auto first = tenant("acme");
    EXPECT_EQ(first.status, 201);
    const auto again = tenant("acme");
    EXPECT_EQ(again.status, 201);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.content_type, first.content_type);
    EXPECT_EQ(again.headers, first.headers);
    EXPECT_EQ(tenants(), 1u);
    EXPECT_EQ(tenant("acme", "another-key").status, 409);  // without it: the name is taken
}

TEST_F(IdempotencyTest, AnotherRequestUnderTheSameKeyIsRefused) {
    tenant("acme");
    const auto other = tenant("other");
    EXPECT_EQ(other.status, 422);
    EXPECT_EQ(code_of(other), "IDEMPOTENCY_KEY_REUSED");
    EXPECT_EQ(tenants(), 1u);
}

TEST_F(IdempotencyTest, WhatWasRefusedMayBeTriedAgain) {
    EXPECT_EQ(tenant("../x").status, 400);
    EXPECT_EQ(tenant("acme").status, 201);
}

// Neither the key, nor what was asked, nor what seals the answer is another caller's.
TEST_F(IdempotencyTest, AKeyIsTheCallersOwn) {
    EXPECT_EQ(tenant("acme").status, 201);
    http::Request asked;
    asked.method = "POST";
    asked.path = "/api/v1/tenants";
    asked.body = R"({"name":"acme"})";
    asked.headers = {{"Idempotency-Key", kKey}};
    for (const char* actor : {"operator:0", "operator:1"}) {
        const auto repeated = *Idempotency::of(asked, actor);
        const auto as = store->as({actor, "unix", "request-again"});
        EXPECT_EQ(repeated.earlier(*as, asked).has_value(), actor == std::string("operator:0"));
    }
}

// The token is shown once; the database never has it.
TEST_F(IdempotencyTest, ASecretIsRepeatedToItsOwnerAndNotOnTheDisk) {
    const auto owner = make_tenant();
    const std::string body =
        fmt::format(R"({{"tenantId":"{}","networkId":"{}","uses":1}})", owner, make_network(owner));
    const auto first = expect<wire::TokenCreated>(201, post("/api/v1/tokens", body));
    EXPECT_EQ(expect<wire::TokenCreated>(201, post("/api/v1/tokens", body)).token, first.token);
    const std::string part = first.token.substr(first.token.size() - 40);
    for (const char* suffix : {"", "-wal"}) {
        std::ifstream file(folder + "/db" + suffix, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        EXPECT_EQ(bytes.find(part), std::string::npos) << suffix;
        EXPECT_EQ(bytes.find(kKey), std::string::npos) << suffix;
    }
}

// It changed what it was to change and ended before it could say so.
TEST_F(IdempotencyTest, AnAnswerThatWasLostIsSaidToBe) {
    const std::string body = R"({"name":"acme"})";
    http::Request asked;
    asked.method = "POST";
    asked.path = "/api/v1/tenants";
    asked.body = body;
    asked.headers = {{"Idempotency-Key", kKey}};
    const auto key = Idempotency::of(asked, "operator:0")->key();
    store::Cause cause{"operator:0", "unix", "request-before"};
    cause.idempotency = key;
    const auto cut_off = store->as(cause);
    ASSERT_TRUE(cut_off->create_tenant({new_uuid(1), "acme", {}}));
    const auto again = post("/api/v1/tenants", body);
    EXPECT_EQ(again.status, 409);
    EXPECT_EQ(code_of(again), "IDEMPOTENCY_IN_PROGRESS");
    EXPECT_NE(again.body.find("request-before"), std::string::npos);
    EXPECT_EQ(tenants(), 1u);
}

TEST_F(IdempotencyTest, WhatIsNoKeyIsRefusedBeforeAnythingIsDone) {
    for (const std::string& key :
         {std::string("short"), std::string(256, 'x'), std::string("a b c d e")})
        EXPECT_EQ(tenant("acme", key).status, 400) << key;
    EXPECT_EQ(tenants(), 0u);
}

}  // namespace
}  // namespace cvlan::api
