// SPDX-License-Identifier: Apache-2.0
// IPsec connections to foreign sites: where their secrets go, and where they never do (F99).
#include "model/connection.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

constexpr const char* kPath = "/api/v1/ipsec-connections";

struct ConnectionsTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);
    TestNode gateway = machine(tenant, network);

    TestNode machine(const std::string& of, const std::string& in, const char* role = "VROUTER") {
        const auto token = expect<wire::TokenCreated>(
            201,
            ask("POST", "/api/v1/tokens",
                fmt::format(R"({{"tenantId":"{}","networkId":"{}","role":"{}"}})", of, in, role)));
        return enrolled(token.token, "");
    }
    std::string make_vrouter() {
        return expect<wire::Vrouter>(
                   201, ask("POST", "/api/v1/vrouters",
                            fmt::format(R"({{"tenantId":"{}","name":"gw","nodeId":"{}",)"
                                        R"("networkIds":["{}"]}})",
                                        tenant, gateway.enrolment.node_id, network)))
            .id;
    }
    std::string body(const std::string& name, const Bytes& secret, const std::string& more = "") {
        return fmt::format(
            R"({{"tenantId":"{}","name":"{}","networkId":"{}","remoteAddresses":["192.0.2.7"],)"
            R"("remoteIdentity":"fw.example","auth":"PSK","secret":"{}","remoteSubnets":)"
            R"(["192.168.7.0/24"]{}}})",
            tenant, name, network, base64(secret), more);
    }
    wire::IpsecConnection make(const std::string& name, const Bytes& secret) {
        return expect<wire::IpsecConnection>(201, ask("POST", kPath, body(name, secret)));
    }
    std::vector<wire::IpsecSecret> secrets(const TestNode& of) {
        const auto answer = ask("GET", "/api/v1/node/ipsec-secrets", "", of.enrolment.certificate);
        EXPECT_EQ(answer.body.find(R"("kind")"), std::string::npos);
        return expect<wire::IpsecSecrets>(200, answer).secrets;
    }
    std::vector<wire::MapFragment> map_of(const TestNode& of) {
        const auto map = whole_map(ask("GET", "/api/v1/node/map", "", of.enrolment.certificate));
        std::vector<wire::MapFragment> fragments;
        for (const auto& bytes : map.fragments) fragments.push_back(fragment_of(bytes));
        return fragments;
    }
    void expect_refused(const std::string& fields, int status, const char* pointer) {
        const auto refused = ask("POST", kPath, fields);
        EXPECT_EQ(refused.status, status) << refused.body;
        EXPECT_NE(refused.body.find(pointer), std::string::npos) << refused.body;
    }
};

// F99
TEST_F(ConnectionsTest, AnySecretComesToTheVrouterAsItWasGivenAndToNoOtherPlace) {
    make_vrouter();
    const std::string utf8 =
        "gr\xc3\xbc\xc3\x9f"
        "e aus \xe6\x9d\xb1\xe4\xba\xac 1234";
    Bytes with_nul = random_bytes(32);
    with_nul[0] = with_nul[7] = with_nul[31] = 0;
    const std::vector<Bytes> all{with_nul, Bytes(utf8.begin(), utf8.end()), random_bytes(256),
                                 random_bytes(16)};
    testing::internal::CaptureStderr();
    std::string told;
    for (const Bytes& secret : all) {
        const auto made = ask("POST", kPath, body("berlin", secret));
        const auto connection = expect<wire::IpsecConnection>(201, made);
        const auto got = secrets(gateway);
        ASSERT_EQ(got.size(), 1u);
        EXPECT_EQ(got[0].connection_id, connection.id);
        EXPECT_EQ(got[0].secret_revision, 1);
        EXPECT_EQ(got[0].secret, secret);
        const Bytes other = random_bytes(secret.size());
        const std::string path = kPath + ("/" + connection.id);
        const auto changed = ask("PATCH", path, fmt::format(R"({{"secret":"{}"}})", base64(other)));
        EXPECT_EQ(expect<wire::IpsecConnection>(200, changed).secret_revision, 2);
        EXPECT_EQ(secrets(gateway).at(0).secret, other);
        told += made.body + changed.body + ask("GET", path).body + ask("GET", kPath).body;
        for (const auto& fragment : map_of(gateway)) told += encode(fragment);
        EXPECT_EQ(ask("DELETE", path).status, 204);
        EXPECT_TRUE(secrets(gateway).empty());
        told += ask("GET", "/api/v1/audit?tenant=" + tenant).body;
        told += ask("POST", kPath, body("Bad Name", secret)).body;
        for (const Bytes& hidden : {secret, other}) {
            EXPECT_EQ(told.find(base64(hidden)), std::string::npos);
            EXPECT_EQ(told.find(std::string(hidden.begin(), hidden.end())), std::string::npos);
        }
    }
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find("api.connection_changed"), std::string::npos);
    for (const Bytes& secret : all) EXPECT_EQ(log.find(base64(secret)), std::string::npos);
    EXPECT_EQ(log.find(utf8), std::string::npos);
    EXPECT_EQ(told.find("\"secret\":"), std::string::npos);
}

TEST_F(ConnectionsTest, TheDatabaseHoldsNoSecretAndRowsThatArePutTogetherGiveNone) {
    make_vrouter();
    const Bytes secret = random_bytes(32);
    const auto made = make("berlin", secret);
    const store::Key node{tenant, gateway.enrolment.node_id};
    const auto kept = store->connections().secrets_of(node)->at(0);
    const auto sealed = from_base64(kept.sealed);
    ASSERT_TRUE(sealed);
    EXPECT_EQ(std::search(sealed->begin(), sealed->end(), secret.begin(), secret.end()),
              sealed->end());
    EXPECT_NE(kept.sealed, base64(secret));

    // As if somebody had put the bytes into another row: it opens there for nobody.
    auto other = *store->connections().get(tenant, made.id);
    other.name = "paris";
    other.remote_subnets = {*Prefix::parse("192.168.8.0/24")};
    ASSERT_TRUE(store->connections().create(other, "test.cvlan.internal",
                                            [&](const model::Connection&) { return kept.sealed; }));
    const auto got = secrets(gateway);
    ASSERT_EQ(got.size(), 1u) << "the good one is there all the same";
    EXPECT_EQ(got[0].connection_id, made.id);
}

TEST_F(ConnectionsTest, OnlyTheNodeOfTheVrouterHearsOfItAndOthersHaveItsRoutes) {
    make_vrouter();
    const auto plain = machine(tenant, network, "NODE");
    const auto idle = machine(tenant, network);
    const auto other_tenant = make_tenant("other");
    const auto stranger = machine(other_tenant, make_network(other_tenant, "10.9.0.0/24"));
    const auto made = make("berlin", random_bytes(32));
    for (const TestNode* node : {&plain, &idle, &stranger}) {
        EXPECT_TRUE(secrets(*node).empty());
        for (const auto& fragment : map_of(*node))
            EXPECT_NE(fragment.kind, wire::FragmentKind::Connection);
    }
    size_t gateways = 0, connections = 0;
    for (const auto& fragment : map_of(plain)) {
        if (!fragment.peer || fragment.id != gateway.enrolment.node_id) continue;
        ++gateways;
        EXPECT_EQ(fragment.peer->routes, std::vector<std::string>{"192.168.7.0/24"});
    }
    for (const auto& fragment : map_of(gateway)) {
        if (fragment.kind != wire::FragmentKind::Connection) continue;
        ++connections;
        EXPECT_EQ(fragment.id, made.id);
        EXPECT_EQ(fragment.connection->local_identity, made.id + ".ike.test.cvlan.internal");
        EXPECT_EQ(fragment.connection->secret_revision, 1);
    }
    EXPECT_EQ(gateways, 1u);
    EXPECT_EQ(connections, 1u);
    const std::string path = kPath + ("/" + made.id);
    ASSERT_EQ(ask("PATCH", path, R"({"enabled":false})").status, 200);
    EXPECT_TRUE(secrets(gateway).empty());
    for (const auto& fragment : map_of(plain))
        EXPECT_TRUE(!fragment.peer || fragment.peer->routes.empty());
}

TEST_F(ConnectionsTest, WhatCanNotBeIsRefusedWithItsField) {
    expect_refused(body("berlin", random_bytes(32)), 409, "has no vrouter");
    make_vrouter();
    expect_refused(body("berlin", random_bytes(15)), 400, "16 to 256 bytes");
    expect_refused(body("berlin", random_bytes(257)), 400, "16 to 256 bytes");
    expect_refused(body("berlin", random_bytes(16), R"(,"localSubnets":["10.0.0.1/8"])"), 400,
                   "/localSubnets/0");
    expect_refused(body("berlin", random_bytes(16), R"(,"dpdSeconds":1)"), 400, "/dpdSeconds");
    expect_refused(body("berlin", random_bytes(16), R"(,"ikeProposals":["3des-sha1-modp1024"])"),
                   400, "/ikeProposals/0");
    expect_refused(body("berlin", random_bytes(16), R"(,"remoteCa":"x")"), 400, "/remoteCa");
    auto fields = body("berlin", random_bytes(16));
    fields.replace(fields.find("fw.example"), 10, "%any");
    expect_refused(fields, 400, "/remoteIdentity");
    fields = body("berlin", random_bytes(16));
    fields.replace(fields.find("192.168.7.0"), 11, "10.100.0.0");
    expect_refused(fields, 409, "/remoteSubnets/0");
    fields = body("berlin", random_bytes(16));
    fields.replace(fields.find(network), 36, new_uuid(1));
    expect_refused(fields, 400, "/networkId");
}

TEST_F(ConnectionsTest, ACertificateIsOneAndNothingElse) {
    make_vrouter();
    const auto with = [&](const std::string& pem) {
        wire::IpsecConnectionCreate wanted;
        wanted.tenant_id = tenant;
        wanted.name = "berlin";
        wanted.network_id = network;
        wanted.remote_identity = "CN=fw, O=Example";
        wanted.auth = wire::IpsecAuth::Certificate;
        wanted.remote_ca = pem;
        wanted.remote_subnets = {"192.168.7.0/24"};
        wanted.start = wire::IpsecStart::None;
        return ask("POST", kPath, encode(wanted));
    };
    const std::string root = authority.root_pem();
    const auto key = gateway.key.to_pem();
    ASSERT_TRUE(key);
    for (const std::string& bad : {std::string(), std::string("no PEM"), root + root,
                                   root + key->reveal(), key->reveal() + root, key->reveal()})
        EXPECT_EQ(with(bad).status, 400);
    const auto made = with(root);
    const auto connection = expect<wire::IpsecConnection>(201, made);
    EXPECT_EQ(connection.secret_revision, 0);
    EXPECT_EQ(connection.remote_ca, root);
    EXPECT_TRUE(secrets(gateway).empty());
}

TEST_F(ConnectionsTest, IsTriedMatchedAndRepeatedAsOtherObjectsAre) {
    make_vrouter();
    const Bytes secret = random_bytes(32);
    const auto tried = ask("POST", kPath + std::string("?validateOnly=true"), body("a", secret));
    EXPECT_EQ(expect<wire::IpsecConnection>(201, tried).secret_revision, 1);
    EXPECT_TRUE(secrets(gateway).empty());
    Caller once{.local = http::LocalPeer{}};
    once.headers.push_back({"Idempotency-Key", "a-key-that-nobody-guesses"});
    const auto first = ask_as(once, "POST", kPath, body("berlin", secret));
    const auto again = ask_as(once, "POST", kPath, body("berlin", secret));
    EXPECT_EQ(first.status, 201) << first.body;
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(secrets(gateway).size(), 1u);
    const std::string path = kPath + ("/" + expect<wire::IpsecConnection>(201, first).id);
    const std::string etag = etag_of(ask("GET", path));
    EXPECT_EQ(etag_of(first), etag);
    EXPECT_EQ(ask_if("\"1\"", "PATCH", path, R"({"name":"bonn"})").status, 412);
    const auto changed = ask_if(etag, "PATCH", path, R"({"name":"bonn","start":"START"})");
    EXPECT_EQ(expect<wire::IpsecConnection>(200, changed).start, wire::IpsecStart::Start);
    EXPECT_EQ(secrets(gateway).at(0).secret, secret) << "what is not said stays";
    EXPECT_EQ(ask_if(etag, "DELETE", path).status, 412);
    const auto listed = expect<wire::IpsecConnectionList>(
        200, ask("GET", kPath + ("?network=" + network + "&name=bonn&enabled=true")));
    EXPECT_EQ(listed.ipsec_connections.size(), 1u);
    EXPECT_EQ(ask_if(etag_of(changed), "DELETE", path).status, 204);
    EXPECT_EQ(ask("GET", path).status, 404);
}

TEST_F(ConnectionsTest, OfAnotherTenantIsNotThere) {
    make_vrouter();
    const auto made = make("berlin", random_bytes(32));
    const std::string path = kPath + ("/" + made.id);
    const std::string other = make_tenant("other");
    EXPECT_EQ(ask("GET", path + "?tenant=" + other).status, 404);
    EXPECT_EQ(ask("PATCH", path + "?tenant=" + other, R"({"enabled":false})").status, 404);
    EXPECT_EQ(ask("DELETE", path + "?tenant=" + other).status, 404);
    EXPECT_EQ(ask("GET", path + "?tenant=" + tenant).status, 200);
}

TEST_F(ConnectionsTest, AnApprovedNetworkHasApprovedProposalsAlone) {
    make_vrouter();
    ASSERT_EQ(ask("PATCH", "/api/v1/networks/" + network,
                  R"({"dataPlane":"IPSEC","cryptoProfile":"FIPS_ALGORITHMS"})")
                  .status,
              200);
    const auto refused =
        ask("POST", kPath,
            body("berlin", random_bytes(32), R"(,"ikeProposals":["aes256-sha256-modp2048"])"));
    EXPECT_EQ(refused.status, 400);
    EXPECT_NE(refused.body.find("FIPS_ALGORITHMS have no aes256"), std::string::npos)
        << refused.body;
    EXPECT_EQ(
        ask("POST", kPath,
            body("berlin", random_bytes(32), R"(,"ikeProposals":["aes256gcm16-prfsha384-ecp384"])"))
            .status,
        201);
}

}  // namespace
}  // namespace cvlan::api
