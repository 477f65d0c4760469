// SPDX-License-Identifier: Apache-2.0
// The audit over the API: what was refused stands in it, and who reads it gets his own chain.
#include <thread>

#include "base/bytes.h"
#include "store/sqlite.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct AuditApiTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);

    // Of the tenant's chain, or of the operator's own.
    std::vector<wire::AuditEntry> entries(const std::string& of, const std::string& more = "") {
        const std::string tenant_part = of.empty() ? "" : "tenant=" + of + "&";
        return expect<wire::AuditList>(
                   200, ask("GET", "/api/v1/audit?" + tenant_part + "pageSize=1000" + more))
            .entries;
    }
    std::vector<wire::AuditEntry> refused(const std::string& of) {
        context.refusals->flush();
        std::vector<wire::AuditEntry> found;
        for (wire::AuditEntry& entry : entries(of))
            if (entry.outcome != "OK") found.push_back(std::move(entry));
        return found;
    }
    Caller stranger() { return {.local = http::LocalPeer{getuid() + 1000, 0, 1}}; }
    void run_sql(const std::string& script) {
        EXPECT_TRUE((*store::SqliteDatabase::open(folder + "/db"))->run_script(script));
    }
};

// Of a long chain it takes seconds, and whoever polls comes to this thread.
TEST_F(AuditApiTest, IsVerifiedOnAThreadOfItsOwn) {
    EventLoop elsewhere;
    std::vector<std::string> long_ones;
    context.loop_of = [&](const Route& route, EventLoop& here) -> EventLoop& {
        if (route.is_long) long_ones.emplace_back(route.pattern);
        return route.is_long ? elsewhere : here;
    };
    http::Request request;
    request.method = "GET";
    request.path = "/api/v1/audit/verify";
    request.local = http::LocalPeer{};
    request.loop = &loop;
    std::optional<http::Response> answer;
    const auto exchange = std::make_shared<http::Exchange>(
        http::Exchange{[&](http::Response response) { answer = std::move(response); }});
    handle(context, Caller{}.roles, std::move(request), http::Reply(exchange));
    EXPECT_FALSE(entries(tenant).empty());  // others are served
    EXPECT_FALSE(answer);
    std::thread([&] { elsewhere.run_once(std::chrono::milliseconds(1000)); }).join();
    EXPECT_FALSE(answer);  // it is given on the connection's thread
    while (!answer) loop.run_once(std::chrono::milliseconds(100));
    const auto verdicts = expect<wire::AuditVerdictList>(200, *answer);
    ASSERT_EQ(verdicts.chains.size(), 1u);
    EXPECT_TRUE(verdicts.chains[0].whole);
    EXPECT_EQ(long_ones, std::vector<std::string>{"/api/v1/audit/verify"});
}

TEST_F(AuditApiTest, WhoMayNotChangeIsRecorded) {
    const std::string path = "/api/v1/networks/" + network;
    EXPECT_EQ(ask_as(stranger(), "DELETE", path).status, 403);
    const auto all = refused("");
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].actor, fmt::format("operator:{}", getuid() + 1000));
    EXPECT_EQ(all[0].source, "unix");
    EXPECT_EQ(all[0].request_id, "request-1");
    EXPECT_EQ(all[0].action, "DELETE /api/v1/networks/{id}");
    EXPECT_EQ(all[0].object_id, network);
    EXPECT_EQ(all[0].outcome, "READ_ONLY");
}

TEST_F(AuditApiTest, WhatIsUnknownTakenOrMissingIsRecordedAndAReadIsNot) {
    EXPECT_EQ(ask_as({}, "GET", "/api/v1/networks").status, 401);
    EXPECT_EQ(ask("DELETE", "/api/v1/networks/" + new_uuid(1)).status, 404);
    EXPECT_EQ(ask("POST", "/api/v1/tenants", R"({"name":"acme"})").status, 409);
    EXPECT_EQ(ask("GET", "/api/v1/networks").status, 200);
    EXPECT_EQ(ask("POST", "/api/v1/tenants", "{").status, 400);
    std::vector<std::string> outcomes;
    for (const auto& entry : refused("")) outcomes.push_back(entry.outcome);
    std::sort(outcomes.begin(), outcomes.end());
    EXPECT_EQ(outcomes, (std::vector<std::string>{"EXISTS", "NOT_FOUND", "UNAUTHENTICATED"}));
}

TEST_F(AuditApiTest, AnEnrolmentIsTheTokensAndSoIsItsRefusal) {
    const auto token = make_token(tenant, network);
    enrolled(token.token, "web");
    EXPECT_EQ(enrol(new_node(), token.token, "late").status, 410);
    const std::string actor = "token:" + token.id;
    const auto done = entries(tenant, "&action=NODE_ENROLLED");
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].actor, actor);
    EXPECT_EQ(done[0].source, "198.51.100.7");
    const auto all = refused(tenant);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].actor, actor);
    EXPECT_EQ(all[0].outcome, "TOKEN_SPENT");
    for (const auto& entry : entries(tenant))
        EXPECT_EQ(encode(entry).find(token.token), std::string::npos);
}

TEST_F(AuditApiTest, AGuessedTokenIsNobodysAndItsTenantNeverHearsOfIt) {
    EXPECT_EQ(enrol(new_node(), "cvlan_tok_guess", "x").status, 401);
    ASSERT_EQ(refused("").size(), 1u);
    EXPECT_EQ(refused("")[0].actor, "anonymous");
    EXPECT_EQ(refused("")[0].outcome, "TOKEN_INVALID");
    EXPECT_TRUE(refused(tenant).empty());
}

TEST_F(AuditApiTest, ARevokedNodeThatComesAgainStandsInItsTenantsChain) {
    const auto node = enrolled(make_token(tenant, network).token, "web");
    EXPECT_EQ(ask("POST", "/api/v1/nodes/" + node.enrolment.node_id + "/revoke").status, 200);
    EXPECT_EQ(ask("GET", "/api/v1/node/map", "", node.enrolment.certificate).status, 403);
    const auto all = refused(tenant);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].actor, "node:" + node.enrolment.node_id);
    EXPECT_EQ(all[0].outcome, "NODE_REVOKED");
}

TEST_F(AuditApiTest, EqualOnesAreCountedAndAFloodIsWrittenSeldomAndBounded) {
    const uint64_t commits = store->commits();
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(ask_as({}, "POST", "/api/v1/tenants").status, 401);
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(ask_as({}, "DELETE", "/api/v1/tenants/" + new_uuid(i)).status, 401);
    EXPECT_EQ(store->commits(), commits) << "nobody who asks waits for the disk";
    context.refusals->flush_due();
    EXPECT_EQ(store->commits(), commits + 1);
    int64_t attempts = 0;
    for (const auto& entry : entries("")) attempts += entry.count;
    EXPECT_EQ(attempts, 2000);
    EXPECT_LE(entries("").size(), 260u);
    // It was a flood: the next second brings nothing, the one after that does.
    EXPECT_EQ(ask_as({}, "POST", "/api/v1/tenants").status, 401);
    clock.advance(std::chrono::seconds(1));
    context.refusals->flush_due();
    EXPECT_EQ(store->commits(), commits + 1);
    clock.advance(std::chrono::seconds(1));
    context.refusals->flush_due();
    EXPECT_EQ(store->commits(), commits + 2);
}

TEST_F(AuditApiTest, WhereItCanNotBeWrittenNothingIsAdministeredUntilItCan) {
    run_sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END");
    EXPECT_EQ(ask_as({}, "POST", "/api/v1/tenants").status, 401);
    context.refusals->flush_due();
    const auto answer = ask("PATCH", "/api/v1/networks/" + network, R"({"name":"lab"})");
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(code_of(answer), "AUDIT_UNAVAILABLE");
    EXPECT_EQ(ask("GET", "/api/v1/networks").status, 200);
    run_sql("DROP TRIGGER full");
    clock.advance(std::chrono::seconds(1));
    EXPECT_EQ(ask("PATCH", "/api/v1/networks/" + network, R"({"name":"lab"})").status, 200);
    // What was refused meanwhile was not lost.
    EXPECT_EQ(refused("").size(), 1u);
}

TEST_F(AuditApiTest, AnExportIsPagedAndItsPagesMakeOneFile) {
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(
            ask("PATCH", "/api/v1/networks/" + network, fmt::format(R"({{"name":"n-{}"}})", i))
                .status,
            200);
    const auto whole = ask("GET", "/api/v1/audit/export?format=csv&tenant=" + tenant);
    EXPECT_EQ(whole.status, 200);
    EXPECT_EQ(whole.header("Link"), nullptr);
    std::string joined;
    std::string at = "/api/v1/audit/export?format=csv&pageSize=3&tenant=" + tenant;
    for (int pages = 0; !at.empty() && pages < 10; ++pages) {
        const auto page = ask("GET", at);
        joined += page.body;
        const std::string* link = page.header("Link");
        at = link ? link->substr(1, link->find('>') - 1) : "";
    }
    EXPECT_EQ(joined, whole.body);
    EXPECT_EQ(std::count(joined.begin(), joined.end(), '\n'), 8);  // header, tenant, network, 5
    const auto lines = ask("GET", "/api/v1/audit/export?tenant=" + tenant);
    EXPECT_EQ(lines.content_type, "application/x-ndjson");
    const std::string first = lines.body.substr(0, lines.body.find('\n'));
    EXPECT_EQ(model::decode<wire::AuditEntry>(first, model::kDocument)->action, "TENANT_CREATED");
    EXPECT_EQ(ask("GET", "/api/v1/audit/export?format=xml").status, 400);
    EXPECT_EQ(ask("GET", "/api/v1/audit?since=yesterday").status, 400);
}

TEST_F(AuditApiTest, VerifyNamesTheRowThatSomebodyChanged) {
    const auto verdict = [&] {
        return expect<wire::AuditVerdictList>(200,
                                              ask("GET", "/api/v1/audit/verify?tenant=" + tenant))
            .chains.at(0);
    };
    EXPECT_TRUE(verdict().whole);
    EXPECT_EQ(verdict().entries, 2);
    run_sql("UPDATE audit SET actor = 'somebody' WHERE sequence = 2");
    EXPECT_FALSE(verdict().whole);
    EXPECT_EQ(verdict().fault.value_or(""), "entry 2 was changed");
}

}  // namespace
}  // namespace cvlan::api
