// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "pki/certificate.h"
#include "pki/token.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct EnrolTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);

    std::optional<maps::Since> since;
    std::vector<wire::MapFragment> poll(const TestNode& node) {
        auto answer = maps.answer(tenant, node.enrolment.node_id, since);
        std::vector<wire::MapFragment> fragments;
        if (!answer || !*answer) return fragments;
        const auto map = whole_map(**answer);
        since = maps::Since{map.epoch, map.revision};
        const auto key = *pki::VerifyKey::from_bytes(node.enrolment.map_keys.at(0).public_key);
        for (const auto& fragment : map.fragments) {
            EXPECT_TRUE(key.verify(fragment.payload, fragment.signature));
            fragments.push_back(fragment_of(fragment));
        }
        return fragments;
    }
};

TEST_F(EnrolTest, ATokenAloneMakesANodeWithCertificateAddressesAndMap) {
    const auto node = enrolled(make_token(tenant, network).token, "web");
    const auto& answer = node.enrolment;
    EXPECT_EQ(answer.name, "web");
    EXPECT_EQ(answer.membership.addresses.at(0), "10.100.0.1");
    EXPECT_EQ(answer.membership.addresses.size(), 2u);
    // The address it came from is a way to reach it.
    EXPECT_EQ(answer.membership.endpoints, std::vector<std::string>{"198.51.100.7:51820"});
    const auto certificate = pki::parse_node_certificate(answer.certificate, "test.cvlan.internal");
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(certificate->node_id, answer.node_id);
    EXPECT_EQ(certificate->tenant_id, tenant);
    EXPECT_TRUE(pki::verify_chain(answer.certificate, answer.trust_bundle, clock.now()));
    EXPECT_EQ(poll(node).size(), 2u);  // the network and itself
}

// F20, F21: each refusal says which way the token was wrong.
TEST_F(EnrolTest, ASpentExpiredRevokedForgedOrForeignTokenIsRefusedByName) {
    const auto once = make_token(tenant, network);
    enrolled(once.token, "a");
    EXPECT_EQ(code_of(enrol(new_node(), once.token, "b")), "TOKEN_SPENT");

    const auto revoked = make_token(tenant, network);
    EXPECT_EQ(ask("POST", "/api/v1/tokens/" + revoked.id + "/revoke").status, 200);
    EXPECT_EQ(code_of(enrol(new_node(), revoked.token, "b")), "TOKEN_REVOKED");

    const auto late = make_token(tenant, network);
    clock.advance(std::chrono::hours(25));
    EXPECT_EQ(code_of(enrol(new_node(), late.token, "b")), "TOKEN_EXPIRED");

    auto forged = make_token(tenant, network).token;
    forged.back() = forged.back() == 'A' ? 'B' : 'A';
    EXPECT_EQ(code_of(enrol(new_node(), forged, "b")), "TOKEN_INVALID");

    auto claims = pki::parse_token(make_token(tenant, network).token)->claims;
    // Signed well, but by nobody we know; and the tenant's id must not become a path.
    for (const std::string& stranger :
         {new_uuid(1), std::string("../../../../etc/passwd-0123456789ab")}) {
        claims.tenant_id = stranger;
        const std::string text = model::encode_claims(claims);
        const auto signature = pki::SigningKey::generate().sign(as_bytes(text));
        const std::string token =
            "cvlan_reg_" + base64url(as_bytes(text)) + "." + base64url(signature);
        EXPECT_EQ(code_of(enrol(new_node(), token, "b")), "TOKEN_INVALID") << stranger;
    }
    EXPECT_EQ(code_of(enrol(new_node(), "nonsense", "b")), "TOKEN_INVALID");
}

TEST_F(EnrolTest, GuessesFromOneAddressAreSlowedDownAndRecover) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(enrol(new_node(), "cvlan_reg_x.y", "a").status, 401);
    EXPECT_EQ(code_of(enrol(new_node(), "cvlan_reg_x.y", "a")), "TOO_MANY_FAILURES");
    clock.advance(std::chrono::minutes(1));
    EXPECT_EQ(enrol(new_node(), make_token(tenant, network).token, "a").status, 201);
}

// F22, F24
TEST_F(EnrolTest, ABadRequestNamesItsFieldAndSpendsNothing) {
    const auto token = make_token(tenant, network);
    auto node = new_node();
    const auto refused = [&](auto change) {
        auto request = enrol_request(node, token.token, "web");
        change(request);
        const auto problem =
            expect<wire::Problem>(400, ask("POST", "/api/v1/enrol", encode(request)));
        return problem.errors.empty() ? problem.code : problem.errors[0].pointer;
    };
    EXPECT_EQ(refused([](auto& r) { r.csr = "x"; }), "/csr");
    for (const char* key : {"", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                            "not base64", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA="})
        EXPECT_EQ(refused([&](auto& r) { r.wireguard_public_key = key; }), "/wireguardPublicKey")
            << key;
    EXPECT_EQ(refused([](auto& r) { r.name = "a;reboot"; }), "/name");
    EXPECT_EQ(refused([](auto& r) { r.endpoints = {"127.0.0.1:1"}; }), "/endpoints/0");
    EXPECT_EQ(refused([](auto& r) { r.endpoints = {"1.2.3.4:5", "224.0.0.9:5"}; }), "/endpoints/1");
    EXPECT_EQ(refused([](auto& r) { r.protocol_version = 999; }), "PROTOCOL_VERSION");
    EXPECT_EQ(enrol(node, token.token, "web").status, 201);
}

TEST_F(EnrolTest, AKeyOrANameThatIsTakenIsAConflictWithoutAWordOfWhose) {
    const auto token = make_token(tenant, network, 9).token;
    const auto first = enrolled(token, "web");
    auto second = new_node();
    EXPECT_EQ(enrol(second, token, "web").status, 409);
    second.wireguard_key = first.wireguard_key;
    const auto refused = enrol(second, token, "other");
    EXPECT_EQ(refused.status, 409);
    EXPECT_EQ(refused.body.find(first.enrolment.node_id), std::string::npos);
    EXPECT_EQ(refused.body.find("web"), std::string::npos);
}

// F28
TEST_F(EnrolTest, AnExhaustedPoolSaysSo) {
    const auto small = make_network(tenant, "10.200.0.0/30", "small");
    const auto token = make_token(tenant, small, 9).token;
    enrolled(token, "a");
    enrolled(token, "b");
    const auto refused = enrol(new_node(), token, "c");
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find("pool exhausted 2/2"), std::string::npos) << refused.body;
}

TEST_F(EnrolTest, AnExpiredNodeComesBackAsItselfARevokedOneNever) {
    const auto token = make_token(tenant, network, 9).token;
    const auto node = enrolled(token, "web");
    const std::string path = "/api/v1/nodes/" + node.enrolment.node_id;
    EXPECT_EQ(ask("POST", path + "/expire").status, 200);
    EXPECT_EQ(code_of(ask("DELETE", "/api/v1/node", "", node.enrolment.certificate)),
              "NODE_EXPIRED");

    const auto again = expect<wire::Enrolment>(201, enrol(node, token, ""));
    EXPECT_EQ(again.node_id, node.enrolment.node_id);
    EXPECT_EQ(again.membership.addresses, node.enrolment.membership.addresses);
    EXPECT_EQ(code_of(ask("DELETE", "/api/v1/node", "", node.enrolment.certificate)),
              "CERTIFICATE_SUPERSEDED");

    EXPECT_EQ(ask("POST", path + "/revoke").status, 200);
    EXPECT_EQ(code_of(ask("DELETE", "/api/v1/node", "", again.certificate)), "NODE_REVOKED");
    EXPECT_EQ(enrol(node, token, "").status, 403);
    auto new_identity = new_node();
    new_identity.wireguard_key = node.wireguard_key;
    EXPECT_EQ(enrol(new_identity, token, "").status, 403);
}

TEST_F(EnrolTest, OthersHearOfALeavingNode) {
    const auto token = make_token(tenant, network, 9).token;
    const auto stays = enrolled(token, "a");
    const auto leaves = enrolled(token, "b");
    EXPECT_EQ(poll(stays).size(), 3u);
    EXPECT_TRUE(poll(stays).empty());
    EXPECT_EQ(ask("DELETE", "/api/v1/node", "", leaves.enrolment.certificate).status, 204);
    const auto delta = poll(stays);
    ASSERT_EQ(delta.size(), 1u);
    EXPECT_EQ(delta[0].id, leaves.enrolment.node_id);
    EXPECT_TRUE(delta[0].removed.value_or(false));
    EXPECT_EQ(code_of(ask("DELETE", "/api/v1/node", "", leaves.enrolment.certificate)),
              "NODE_DELETED");
}

TEST_F(EnrolTest, AFurtherNetworkIsJoinedByAFurtherTokenOfTheSameTenantOnly) {
    const auto node = enrolled(make_token(tenant, network).token, "web");
    const auto second = make_network(tenant, "10.101.0.0/24", "lab");
    wire::JoinRequest join{make_token(tenant, second).token, base64(random_bytes(32)), 51821, {}};
    const auto joined = expect<wire::NodeMembership>(
        201, ask("POST", "/api/v1/node/memberships", encode(join), node.enrolment.certificate));
    EXPECT_EQ(joined.addresses.at(0), "10.101.0.1");

    const auto other = make_tenant("other");
    join.token = make_token(other, make_network(other)).token;
    join.wireguard_public_key = base64(random_bytes(32));
    EXPECT_EQ(
        code_of(ask("POST", "/api/v1/node/memberships", encode(join), node.enrolment.certificate)),
        "TOKEN_INVALID");
}

TEST_F(EnrolTest, ARenewedCertificateReplacesTheOldOneOnceItIsUsed) {
    auto node = enrolled(make_token(tenant, network).token, "web");
    const auto fresh = *pki::TlsKey::generate();
    const auto renewal = expect<wire::Renewal>(
        201, ask("POST", "/api/v1/node/certificate",
                 encode(wire::RenewRequest{*pki::create_csr(fresh)}), node.enrolment.certificate));
    const std::string report = R"({"hostname":"h"})";
    // Lost answers do no harm: the old one is good until the new one was seen.
    EXPECT_EQ(ask("PUT", "/api/v1/node/inventory", report, node.enrolment.certificate).status, 204);
    EXPECT_EQ(ask("PUT", "/api/v1/node/inventory", report, renewal.certificate).status, 204);
    EXPECT_EQ(code_of(ask("PUT", "/api/v1/node/inventory", report, node.enrolment.certificate)),
              "CERTIFICATE_SUPERSEDED");
}

TEST_F(EnrolTest, AReportOfEndpointsIsOneFragmentForTheOthersAndNothingWhenUnchanged) {
    const auto token = make_token(tenant, network, 2).token;
    const auto reporter = enrolled(token, "a");
    const auto other = enrolled(token, "b");
    poll(other);
    const std::string report = fmt::format(
        R"({{"networks":[{{"networkId":"{}","listenPort":51820,"endpoints":["192.0.2.5:51820"]}}]}})",
        network);
    EXPECT_EQ(ask("PUT", "/api/v1/node/endpoints", report, reporter.enrolment.certificate).status,
              204);
    const auto delta = poll(other);
    ASSERT_EQ(delta.size(), 1u);
    EXPECT_EQ(delta[0].peer->endpoints,
              (std::vector<std::string>{"192.0.2.5:51820", "198.51.100.7:51820"}));
    EXPECT_EQ(ask("PUT", "/api/v1/node/endpoints", report, reporter.enrolment.certificate).status,
              204);
    EXPECT_TRUE(poll(other).empty());
    // Another's network is as good as none.
    const auto foreign = make_tenant("other");
    const std::string wrong =
        fmt::format(R"({{"networks":[{{"networkId":"{}","listenPort":1,"endpoints":[]}}]}})",
                    make_network(foreign));
    EXPECT_EQ(ask("PUT", "/api/v1/node/endpoints", wrong, reporter.enrolment.certificate).status,
              404);
}

TEST_F(EnrolTest, WithoutACertificateANodesRoutesAreClosed) {
    EXPECT_EQ(ask("PUT", "/api/v1/node/inventory", "{}").status, 401);
    const auto stranger = pki::TlsKey::generate();
    EXPECT_EQ(ask("PUT", "/api/v1/node/inventory", "{}",
                  authority.issue_server(*stranger, {"x.test"}, clock.now())->chain_pem)
                  .status,
              403);
}

}  // namespace
}  // namespace cvlan::api
