// SPDX-License-Identifier: Apache-2.0
#include <set>
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
    EXPECT_EQ(answer.membership->addresses.at(0), "10.100.0.1");
    EXPECT_EQ(answer.membership->addresses.size(), 2u);
    // The address it came from is a way to reach it.
    EXPECT_EQ(answer.membership->endpoints, std::vector<std::string>{"198.51.100.7:51820"});
    const auto certificate = pki::parse_node_certificate(answer.certificate, "test.cvlan.internal");
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(certificate->node_id, answer.node_id);
    EXPECT_EQ(certificate->tenant_id, tenant);
    EXPECT_TRUE(pki::verify_chain(answer.certificate, answer.trust_bundle, clock.now()));
    EXPECT_EQ(poll(node).size(), 2u);  // the network and itself
}

// Made where nobody could ask the controller.
TEST_F(EnrolTest, ATokenMadeOfflineEnrolsOnceAndNotAfterItsKeyIsGone) {
    const auto key = pki::SigningKey::generate();
    const auto made = expect<wire::TokenKeyCreated>(
        201, ask("POST", "/api/v1/token-keys",
                 fmt::format(R"({{"tenantId":"{}","name":"field","publicKey":"{}"}})", tenant,
                             key.public_key().to_base64())));
    const auto offline = [&] {
        model::TokenClaims claims;
        claims.id = new_uuid(unix_ms(clock.now()));
        claims.tenant_id = tenant;
        claims.network_id = network;
        claims.expires_at = clock.now() + std::chrono::hours(1);
        claims.nonce = random_bytes(32);
        claims.url = made.url;
        claims.ca_spki = made.ca_spki;
        return pki::make_token(claims, key)->reveal();
    };
    const std::string token = offline();
    EXPECT_EQ(enrolled(token, "web").enrolment.name, "web");
    EXPECT_EQ(code_of(enrol(new_node(), token, "b")), "TOKEN_GONE");
    const auto records = expect<wire::TokenList>(200, ask("GET", "/api/v1/tokens"));
    ASSERT_EQ(records.tokens.size(), 1u);
    EXPECT_EQ(records.tokens[0].token_key_id, made.token_key.id);

    EXPECT_EQ(ask("DELETE", "/api/v1/token-keys/" + made.token_key.id).status, 204);
    EXPECT_EQ(code_of(enrol(new_node(), offline(), "b")), "TOKEN_INVALID");
}

TEST_F(EnrolTest, AKeyThatIsNoneIsRefusedByItsField) {
    for (const std::string text : {"", "AAAA", "not base64"}) {
        const auto answer =
            ask("POST", "/api/v1/token-keys",
                fmt::format(R"({{"tenantId":"{}","name":"k","publicKey":"{}"}})", tenant, text));
        EXPECT_EQ(answer.status, 400) << text;
        EXPECT_NE(answer.body.find("publicKey"), std::string::npos) << answer.body;
    }
}

TEST_F(EnrolTest, GuessesFromOneAddressAreSlowedDownAndRecover) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(enrol(new_node(), "cvlan_reg_x.y", "a").status, 401);
    const auto slowed = enrol(new_node(), "cvlan_reg_x.y", "a");
    EXPECT_EQ(slowed.status, 429);
    EXPECT_EQ(*slowed.header("Retry-After"), "60");
    EXPECT_EQ(code_of(slowed), "TOO_MANY_FAILURES");
    clock.advance(std::chrono::minutes(1));
    EXPECT_EQ(enrol(new_node(), "cvlan_reg_x.y", "a").status, 401);
}

// One who guesses behind an office's address kept all its machines from enrolling.
TEST_F(EnrolTest, GuessesHoldNoTokenBackThatIsOurs) {
    const auto good = make_token(tenant, network).token, spent = make_token(tenant, network).token;
    enrolled(spent, "a");
    for (int i = 0; i < 9; ++i) enrol(new_node(), "cvlan_reg_x.y", "a");
    EXPECT_EQ(code_of(enrol(new_node(), spent, "b")), "TOKEN_GONE");
    EXPECT_EQ(enrol(new_node(), good, "b").status, 201);
}

// F21: who was refused, and by what, is in the log; the token is not.
TEST_F(EnrolTest, ARefusedTokenIsLoggedByItsIdAndNeverItself) {
    const auto expect_logged = [&](const TestNode& node, const wire::TokenCreated& token,
                                   const std::string& code) {
        testing::internal::CaptureStderr();
        const auto answer = enrol(node, token.token, "");
        const std::string log = testing::internal::GetCapturedStderr();
        EXPECT_GE(answer.status, 400);
        for (const std::string& part :
             {std::string("event=api.enrolment_refused"), "code=" + code, "token=" + token.id,
              "tenant=" + tenant, std::string("peer=198.51.100.7")})
            EXPECT_NE(log.find(part), std::string::npos) << code << ": " << part << " in " << log;
        EXPECT_EQ(log.find(token.token.substr(0, 40)), std::string::npos);
    };
    const auto spent = make_token(tenant, network);
    const auto first = enrolled(spent.token, "a");
    expect_logged(new_node(), spent, "TOKEN_SPENT");

    const auto revoked = make_token(tenant, network), deleted = make_token(tenant, network);
    EXPECT_EQ(ask("POST", "/api/v1/tokens/" + revoked.id + "/revoke").status, 200);
    expect_logged(new_node(), revoked, "TOKEN_REVOKED");
    // Ours by its signature, and yet no row has its nonce.
    EXPECT_EQ(ask("DELETE", "/api/v1/tokens/" + deleted.id).status, 204);
    expect_logged(new_node(), deleted, "TOKEN_INVALID");

    EXPECT_EQ(ask("POST", "/api/v1/nodes/" + first.enrolment.node_id + "/revoke").status, 200);
    expect_logged(first, make_token(tenant, network), "KEY_BARRED");
    const auto late = make_token(tenant, network);
    clock.advance(std::chrono::hours(25));
    expect_logged(new_node(), late, "TOKEN_EXPIRED");
}

TEST_F(EnrolTest, ASpentTokenThatIsTriedAgainAndAgainMakesOneLine) {
    const auto spent = make_token(tenant, network);
    enrolled(spent.token, "a");
    const TestNode node = new_node();
    testing::internal::CaptureStderr();
    for (int i = 0; i < 40; ++i) EXPECT_EQ(code_of(enrol(node, spent.token, "")), "TOKEN_GONE");
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
    clock.advance(std::chrono::minutes(1));
    testing::internal::CaptureStderr();
    enrol(node, spent.token, "");
    EXPECT_NE(testing::internal::GetCapturedStderr().find("left_out=39"), std::string::npos);
}

TEST_F(EnrolTest, ARefusedJoinIsLoggedWithItsNode) {
    const auto node = enrolled(make_token(tenant, network).token, "web");
    const auto other = make_tenant("other");
    const auto foreign = make_token(other, make_network(other));
    wire::JoinRequest join{foreign.token, base64(random_bytes(32)), 51821, {}};
    testing::internal::CaptureStderr();
    const auto answer =
        ask("POST", "/api/v1/node/memberships", encode(join), node.enrolment.certificate);
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(answer.status, 401);
    for (const std::string& part : {"node=" + node.enrolment.node_id, "token=" + foreign.id,
                                    std::string("code=TOKEN_INVALID")})
        EXPECT_NE(log.find(part), std::string::npos) << part << " in " << log;
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

// F22: somebody who saw a request go by has no use for its CSR.
TEST_F(EnrolTest, ACopiedCsrEnrolsNobodyElse) {
    const auto token = make_token(tenant, network, 2).token;
    const auto victim = enrolled(make_token(tenant, network).token, "web");
    const auto refused = [&](const TestNode& node, const std::string& csr) {
        auto request = enrol_request(node, token, "thief");
        request.csr = csr;
        const auto problem =
            expect<wire::Problem>(400, ask("POST", "/api/v1/enrol", encode(request)));
        EXPECT_EQ(problem.code, "CSR_NOT_BOUND");
        EXPECT_NE(problem.errors.at(0).detail.find("this token and this WireGuard key"),
                  std::string::npos);
        return problem.errors.at(0).pointer;
    };
    const auto claims = pki::parse_token(token)->claims;
    const Bytes key = random_bytes(32);
    auto thief = new_node();
    // Of another token; of this token and another WireGuard key; of none.
    const std::string of_victim =
        enrol_request(victim, make_token(tenant, network).token, "web").csr;
    EXPECT_EQ(refused(thief, of_victim), "/csr");
    EXPECT_EQ(refused(thief, *pki::create_csr(victim.key, pki::enrolment_binding(claims, key))),
              "/csr");
    EXPECT_EQ(refused(thief, *pki::create_csr(thief.key)), "/csr");
    // Nothing was spent.
    enrolled(token, "a");
    enrolled(token, "b");
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
    EXPECT_EQ(again.membership->addresses, node.enrolment.membership->addresses);
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

// F20: those who come at the same time are done together, and a token for two lets in two of them.
TEST_F(EnrolTest, ThoseWhoComeTogetherAreDoneTogether) {
    constexpr size_t kComing = 8;
    const auto token = make_token(tenant, network, 2).token;
    std::vector<http::Response> answers;
    std::vector<std::shared_ptr<http::Exchange>> exchanges;
    for (size_t i = 0; i < kComing; ++i) {
        http::Request request;
        request.method = "POST";
        request.path = "/api/v1/enrol";
        request.body = encode(enrol_request(new_node(), token, fmt::format("n{}", i)));
        request.request_id = fmt::format("request-{}", i);
        request.loop = &loop;
        exchanges.push_back(std::make_shared<http::Exchange>(http::Exchange{
            [&](http::Response response) { answers.push_back(std::move(response)); }}));
        handle(context, {Role::Registration}, std::move(request), http::Reply(exchanges.back()));
    }
    EXPECT_TRUE(answers.empty());  // none on this thread
    for (int tries = 0; answers.size() < kComing && tries < 100; ++tries)
        loop.run_once(std::chrono::milliseconds(100));
    ASSERT_EQ(answers.size(), kComing);
    std::set<std::string> addresses;
    for (const http::Response& answer : answers) {
        if (answer.status != 201) {
            EXPECT_EQ(code_of(answer), "TOKEN_GONE");
            continue;
        }
        const auto enrolment = expect<wire::Enrolment>(201, answer);
        addresses.insert(enrolment.membership->addresses.at(0));
    }
    EXPECT_EQ(addresses, (std::set<std::string>{"10.100.0.1", "10.100.0.2"}));
}

TEST_F(EnrolTest, WhoFindsTheQueueFullIsToComeAgain) {
    const auto token = make_token(tenant, network).token;
    enrolling.stop();
    const auto answer = enrol(new_node(), token, "a");
    EXPECT_EQ(answer.status, 503);
    ASSERT_TRUE(answer.header("Retry-After"));
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
