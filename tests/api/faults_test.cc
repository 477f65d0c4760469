// SPDX-License-Identifier: Apache-2.0
// What nodes are told while the database fails: to come again, never that they are gone.
#include <future>
#include <thread>

#include "api/enrol.h"
#include "tests/api/fixture.h"
#include "tests/support/failing_store.h"

namespace cvlan::api {
namespace {

struct FaultsTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);
    test::FailingStore failing{*store};
    Auth wary{failing, "test.cvlan.internal", clock};
    Context faulty{
        failing,   maps,      shared_authority, controller_key, keys,    wary,  admins,
        passwords, enrolling, reporting,        polls,          limiter, clock, context.settings};

    void expect_come_again(const http::Response& response) {
        EXPECT_EQ(response.status, 503) << response.body;
        const std::string* retry = response.header("Retry-After");
        ASSERT_TRUE(retry);
        EXPECT_EQ(*retry, "1");
    }
};

TEST_F(FaultsTest, ADatabaseThatCanNotBeReadDeletesNoNode) {
    const auto node = enrolled(make_token(tenant, network).token, "web");
    http::Request request;
    request.request_id = "request-1";
    request.client_certificate = certificate_of(node.enrolment.certificate);
    for (const Code code : {Code::Unavailable, Code::Internal, Code::Malformed}) {
        failing.error = Error{code, "database: disk I/O error"};
        const auto verdict = wary.node(request);
        ASSERT_TRUE(std::holds_alternative<http::Response>(verdict));
        expect_come_again(std::get<http::Response>(verdict));
        EXPECT_EQ(std::get<http::Response>(verdict).body.find("I/O"), std::string::npos);
    }
    failing.error.reset();
    EXPECT_TRUE(std::holds_alternative<Identity>(wary.node(request)));
    wary.forget(node.enrolment.node_id);
    failing.error = Error{Code::NotFound, "node: not found"};
    const auto gone = wary.node(request);
    EXPECT_EQ(code_of(std::get<http::Response>(gone)), "NODE_DELETED");
}

// What is durable before a node's first use is answered held up every poll of the loop.
TEST_F(FaultsTest, ADiskThatStandsStillHoldsUpTheFirstUseOfANodeAndNoOthersPoll) {
    const auto token = make_token(tenant, network, 2).token;
    const auto known = enrolled(token, "a"), fresh = enrolled(token, "b");
    std::vector<std::shared_ptr<http::Exchange>> exchanges;
    const auto poll = [&](const TestNode& node) {
        http::Request request;
        request.method = "GET";
        request.path = "/api/v1/node/map";
        request.request_id = "request-1";
        request.client_certificate = certificate_of(node.enrolment.certificate);
        request.loop = &loop;
        auto status = std::make_shared<int>(0);
        exchanges.push_back(std::make_shared<http::Exchange>(
            http::Exchange{[status](http::Response response) { *status = response.status; }}));
        handle(faulty, {Role::Session}, std::move(request), http::Reply(exchanges.back()));
        return status;
    };
    const auto answered = [&](const std::shared_ptr<int>& status) {
        for (int tries = 0; *status == 0 && tries < 100; ++tries)
            loop.run_once(std::chrono::milliseconds(100));
        return *status;
    };
    EXPECT_EQ(answered(poll(known)), 200);

    std::promise<void> disk;
    failing.before_touch = [&, turns = disk.get_future().share()] { turns.wait(); };
    const auto first = poll(fresh);
    EXPECT_EQ(*poll(known), 200) << "at once, without a turn of the loop";
    EXPECT_EQ(*first, 0);
    EXPECT_FALSE(store->node(tenant, fresh.enrolment.node_id)->last_seen_at);
    disk.set_value();
    EXPECT_EQ(answered(first), 200);
    EXPECT_TRUE(store->node(tenant, fresh.enrolment.node_id)->last_seen_at);
    EXPECT_EQ(*poll(fresh), 200) << "and never again";
}

TEST_F(FaultsTest, TimesThatCouldNotBeWrittenAreKeptForTheNextTry) {
    const auto node = enrolled(make_token(tenant, network).token, "web");
    http::Request request;
    request.client_certificate = certificate_of(node.enrolment.certificate);
    const auto who = wary.node(request);
    ASSERT_TRUE(std::holds_alternative<Identity>(who));
    const auto first = wary.first_use(*std::get<Identity>(who));
    ASSERT_TRUE(first);
    wary.write(*first);
    clock.advance(std::chrono::minutes(1));
    EXPECT_TRUE(std::holds_alternative<Identity>(wary.node(request)));
    failing.error = Error{Code::Unavailable, "database: is locked"};
    wary.flush_seen();
    failing.error.reset();
    wary.flush_seen();
    EXPECT_EQ(store->node(tenant, node.enrolment.node_id)->last_seen_at, clock.now());
}

TEST_F(FaultsTest, ADatabaseThatCanNotBeReadRevokesNoToken) {
    const auto token = make_token(tenant, network);
    const auto node = new_node();
    http::Request request;
    request.request_id = "request-1";
    request.peer = *Endpoint::parse("198.51.100.7:40000");
    request.body = encode(enrol_request(node, token.token, "web"));
    failing.error = Error{Code::Unavailable, "database: is locked"};
    expect_come_again(enrol_node(faulty, {request, {}, {}, faulty.store}));
    failing.error.reset();
    EXPECT_EQ(enrol_node(faulty, {request, {}, {}, faulty.store}).status, 201);
}

TEST_F(FaultsTest, WhatIsThrownOnAWorkerIsA500AndTheNextIsServed) {
    const auto token = make_token(tenant, network);
    const auto node = new_node();
    const auto enrol_faulty = [&] {
        http::Request request;
        request.method = "POST";
        request.path = "/api/v1/enrol";
        request.request_id = "request-1";
        request.peer = *Endpoint::parse("198.51.100.7:40000");
        request.body = encode(enrol_request(node, token.token, "web"));
        request.loop = &loop;
        std::optional<http::Response> answer;
        const auto here = std::this_thread::get_id();
        const auto exchange = std::make_shared<http::Exchange>(http::Exchange{[&](auto response) {
            EXPECT_EQ(std::this_thread::get_id(), here) << "the connection's loop answers";
            answer = std::move(response);
        }});
        handle(faulty, {Role::Registration}, std::move(request), http::Reply(exchange));
        for (int tries = 0; !answer && tries < 100; ++tries)
            loop.run_once(std::chrono::milliseconds(100));
        exchange->answer = nullptr;
        return answer.value_or(http::Response{.status = 0});
    };
    failing.error = Error{Code::Internal, "std::bad_alloc", 0, {}, test::FailingStore::kThrown};
    const auto broken = enrol_faulty();
    EXPECT_EQ(broken.status, 500) << broken.body;
    EXPECT_EQ(broken.body.find("bad_alloc"), std::string::npos) << "that is for the log";
    failing.error.reset();
    EXPECT_EQ(enrol_faulty().status, 201);
}

}  // namespace
}  // namespace cvlan::api
