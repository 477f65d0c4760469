// SPDX-License-Identifier: Apache-2.0
#include "pki/certificate.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct AuthTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);
    std::string token = make_token(tenant, network, 9).token;

    http::Response poll(const TestNode& node) {
        return ask("GET", "/api/v1/node/map", "", node.enrolment.certificate);
    }
    http::Response report(const TestNode& node) {
        return ask("PUT", "/api/v1/node/inventory",
                   R"({"hostname":"h","macAddresses":["02:00:00:00:00:01"]})",
                   node.enrolment.certificate);
    }
    std::optional<WallTime> seen(const TestNode& node) {
        return expect<wire::Node>(200, ask("GET", "/api/v1/nodes/" + node.enrolment.node_id))
            .last_seen_at;
    }
    NodeIdentity identity(const TestNode& node) {
        const auto known =
            *pki::parse_node_certificate(node.enrolment.certificate, "test.cvlan.internal");
        return {known.tenant_id, known.node_id, known.serial, known.key_hash, known.not_after};
    }
};

TEST_F(AuthTest, OneThatHasExpiredOrWasRevokedIsShutOutAtOnceAndIsToldWhich) {
    const TestNode node = enrolled(token, "a");
    const std::string path = "/api/v1/nodes/" + node.enrolment.node_id;
    EXPECT_EQ(poll(node).status, 200);
    EXPECT_EQ(ask("POST", path + "/expire").status, 200);
    EXPECT_EQ(code_of(poll(node)), "NODE_EXPIRED");
    EXPECT_EQ(ask("POST", path + "/revoke").status, 200);
    EXPECT_EQ(code_of(poll(node)), "NODE_REVOKED");
}

TEST_F(AuthTest, ANodeOfASuspendedTenantWaitsUntilItIsResumed) {
    const TestNode node = enrolled(token, "a");
    EXPECT_EQ(poll(node).status, 200);
    const std::string path = "/api/v1/tenants/" + tenant;
    EXPECT_EQ(ask("POST", path + "/suspend").status, 200);
    auth.forget_tenant(tenant);  // as the controller does at the event
    EXPECT_EQ(code_of(poll(node)), "TENANT_SUSPENDED");
    EXPECT_EQ(ask("POST", path + "/resume").status, 200);
    auth.forget_tenant(tenant);
    EXPECT_EQ(poll(node).status, 200);
}

TEST_F(AuthTest, ACertificateThatNamesNoNodeIsRefused) {
    const auto key = pki::TlsKey::generate();
    const auto server = authority.issue_server(*key, {"x.test"}, clock.now());
    EXPECT_EQ(code_of(ask("GET", "/api/v1/node/map", "", server->chain_pem)),
              "CERTIFICATE_REFUSED");
}

// F79: after an outage all nodes come back at once, and each wait for the disk would be a queue.
TEST_F(AuthTest, NodesThatComeBackWriteNothingButTheirTimeInOneTransaction) {
    std::vector<TestNode> nodes;
    for (const char* name : {"a", "b", "c"}) nodes.push_back(enrolled(token, name));
    for (const TestNode& node : nodes) {
        EXPECT_EQ(report(node).status, 204);
        EXPECT_EQ(seen(node), clock.now());  // the first use ends repeats of the enrolment: at once
    }
    auth.flush_seen();
    clock.advance(std::chrono::hours(24));
    const uint64_t commits = store->commits();
    for (const TestNode& node : nodes) {
        auth.forget(node.enrolment.node_id);  // as a controller that was restarted
        EXPECT_EQ(poll(node).status, 200);
        EXPECT_EQ(report(node).status, 204);
        EXPECT_EQ(poll(node).status, 200);
    }
    EXPECT_EQ(store->commits(), commits);
    auth.flush_seen();
    EXPECT_EQ(store->commits(), commits + 1);
    for (const TestNode& node : nodes) EXPECT_EQ(seen(node), clock.now());
    auth.flush_seen();
    EXPECT_EQ(store->commits(), commits + 1);
}

TEST_F(AuthTest, ANodeThatWritesWithoutEndIsHeldBackAndNobodyElseIs) {
    const TestNode busy = enrolled(token, "a"), other = enrolled(token, "b");
    for (int i = 0; i < 60; ++i) EXPECT_EQ(report(busy).status, 204);
    const auto refused = report(busy);
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(code_of(refused), "TOO_MANY_WRITES");
    EXPECT_EQ(*refused.header("Retry-After"), "1");
    EXPECT_EQ(poll(busy).status, 200);
    EXPECT_EQ(report(other).status, 204);
    EXPECT_NE(metrics_text(context, {}).find("node_writes_held_back_total 1\n"), std::string::npos);
    clock.advance(std::chrono::milliseconds(500));
    EXPECT_EQ(report(busy).status, 204);
    EXPECT_EQ(report(busy).status, 429);
}

TEST_F(AuthTest, ASerialWithoutItsKeyIsNobody) {
    const auto node = enrolled(token, "a");
    NodeIdentity it = identity(node);
    EXPECT_FALSE(auth.standing(it, "r"));
    it.key_hash = identity(enrolled(token, "b")).key_hash;
    EXPECT_EQ(code_of(*auth.standing(it, "r")), "CERTIFICATE_SUPERSEDED");

    const auto fresh = *pki::TlsKey::generate();
    expect<wire::Renewal>(
        201, ask("POST", "/api/v1/node/certificate",
                 encode(wire::RenewRequest{*pki::create_csr(fresh)}), node.enrolment.certificate));
    it = identity(node);
    EXPECT_FALSE(auth.standing(it, "r"));  // the one before, with its own key
    it.key_hash = fresh.key_hash();
    EXPECT_EQ(code_of(*auth.standing(it, "r")), "CERTIFICATE_SUPERSEDED");
}

TEST_F(AuthTest, ACertificateThatRanOutIsRefusedOnAConnectionThatIsOpen) {
    const auto node = enrolled(token, "a");
    clock.advance(std::chrono::duration_cast<std::chrono::milliseconds>(identity(node).not_after -
                                                                        clock.now()) -
                  std::chrono::milliseconds(1));
    EXPECT_EQ(poll(node).status, 200);
    clock.advance(std::chrono::milliseconds(1));
    const auto refused = poll(node);
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(code_of(refused), "CERTIFICATE_EXPIRED");
}

TEST_F(AuthTest, ANodeThatEnrolsAgainIsKnownByTheCertificateItHasUntilItUsesTheNewOne) {
    const auto node = enrolled(token, "a");
    EXPECT_EQ(poll(node).status, 200);
    TestNode again = new_node();
    again.enrolment = expect<wire::Enrolment>(201, enrol(node, token, ""));
    EXPECT_EQ(poll(node).status, 200);
    // The answer was lost, and what it held before does not say otherwise.
    auth.flush_seen();
    EXPECT_FALSE(seen(node));
    EXPECT_EQ(poll(again).status, 200);
    EXPECT_TRUE(seen(node));
    EXPECT_EQ(code_of(poll(node)), "CERTIFICATE_SUPERSEDED");
}

}  // namespace
}  // namespace cvlan::api
