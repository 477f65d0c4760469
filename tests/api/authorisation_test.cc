// SPDX-License-Identifier: Apache-2.0
// Who may take which route: every route of the table against every kind of caller (security.md T4).
// The verdicts stand here by hand; a route without a row, and a row without a route, fail.
#include <unistd.h>

#include <fstream>

#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

// In the order of Row::verdicts.
enum Who { Anonymous, Node, OtherNode, ForeignId, Reader, Writer, kWhos };
constexpr const char* kNames[] = {"anonymous over TLS",       "the node",
                                  "a node of another tenant", "a certificate with a foreign id",
                                  "a reader on the socket",   "a writer on the socket"};

struct AuthorisationTest;
using Text = std::string (*)(AuthorisationTest&);

struct Row {
    std::string_view route;  // method and pattern
    int verdicts[kWhos];
    Text id = nullptr;  // of an object of the node's tenant
    Text body = nullptr;
};

struct AuthorisationTest : ApiTest {
    std::string tenant = make_tenant("acme");
    std::string network = make_network(tenant, "10.100.0.0/24", "office");
    std::string further = make_network(tenant, "10.101.0.0/24", "lab");
    std::string other_tenant = make_tenant("other");
    std::string elsewhere = make_network(other_tenant, "10.200.0.0/24", "else");
    wire::TokenCreated token{};
    TestNode node = new_node();
    TestNode other = new_node();

    int made = 0;

    bool are_spoiled = true;
    // For each route that changes something its own.
    void make_objects() {
        token = make_token(tenant, network, 9);
        node = enrolled(token.token, fmt::format("canary-{}", ++made));
        other = enrolled(make_token(other_tenant, elsewhere).token, "");
    }
    // As our CA would never issue it: the other tenant's name with the node's id.
    std::string forged() {
        const auto csr = *pki::Csr::parse(*pki::create_csr(*pki::TlsKey::generate()));
        return authority
            .issue_node(csr, {other_tenant, node.enrolment.node_id, model::TokenRole::Node},
                        clock.now())
            ->chain_pem;
    }
    Caller caller(Who who) {
        const Roles of_socket{Role::Api, Role::Discovery};  // as Controller::listen_local
        const uid_t stranger = getuid() + 1000;
        switch (who) {
            case Node:
                return {.certificate = node.enrolment.certificate};
            case OtherNode:
                return {.certificate = other.enrolment.certificate};
            case ForeignId:
                return {.certificate = forged()};
            case Reader:
                return {.local = http::LocalPeer{stranger, 0, 1}, .roles = of_socket};
            case Writer:
                return {.local = http::LocalPeer{0, 0, 1}, .roles = of_socket};
            default:
                return {};
        }
    }
    std::string spare_tenant() { return make_tenant("spare"); }
    std::string spare_network() { return make_network(tenant, "10.102.0.0/24", "spare"); }
    // Every write leaves an event; a node's row that is only seen or inventoried leaves none.
    int64_t changes() {
        return store->tenant(tenant)->revision + store->tenant(other_tenant)->revision +
               static_cast<int64_t>(store->tenants({})->items.size());
    }
};

std::string tenant_id(AuthorisationTest& t) { return t.tenant; }
std::string network_id(AuthorisationTest& t) { return t.network; }
std::string token_id(AuthorisationTest& t) { return t.token.id; }
std::string node_id(AuthorisationTest& t) { return t.node.enrolment.node_id; }
std::string spare_tenant(AuthorisationTest& t) { return t.spare_tenant(); }
std::string spare_network(AuthorisationTest& t) { return t.spare_network(); }
std::string new_name(AuthorisationTest&) { return R"({"name":"renamed"})"; }
std::string another_name(AuthorisationTest&) { return R"({"name":"again"})"; }
std::string inventory(AuthorisationTest&) { return R"({"hostname":"h"})"; }
std::string new_network(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","name":"third","ipv4":"10.103.0.0/24"}})", t.tenant);
}
std::string new_token(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","networkId":"{}"}})", t.tenant, t.network);
}
std::string new_token_key(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","name":"key-{}","publicKey":"{}"}})", t.tenant,
                       ++t.made, pki::SigningKey::generate().public_key().to_base64());
}
std::string token_key_id(AuthorisationTest& t) {
    return t
        .expect<wire::TokenKeyCreated>(201, t.ask("POST", "/api/v1/token-keys", new_token_key(t)))
        .token_key.id;
}
std::string endpoints(AuthorisationTest& t) {
    return fmt::format(
        R"({{"networks":[{{"networkId":"{}","listenPort":1,"endpoints":["192.0.2.9:1"]}}]}})",
        t.network);
}
std::string csr(AuthorisationTest&) {
    return encode(wire::RenewRequest{*pki::create_csr(*pki::TlsKey::generate())});
}
std::string enrolment(AuthorisationTest& t) {
    return encode(t.enrol_request(t.new_node(), t.token.token, ""));
}
std::string joining(AuthorisationTest& t) {
    return encode(wire::JoinRequest{
        t.make_token(t.tenant, t.further).token, base64(random_bytes(32)), 51821, {}});
}

// 401: the socket or a certificate is needed. 403: this one may not. 404 on the socket: a node's
// routes are not served there.
const Row kRows[] = {
    {"GET /.well-known/cvlan", {200, 200, 200, 200, 200, 200}},
    {"GET /health", {200, 200, 200, 200, 200, 200}},
    {"GET /ready", {200, 200, 200, 200, 200, 200}},
    {"GET /version", {200, 200, 200, 200, 200, 200}},

    {"POST /api/v1/enrol", {201, 201, 201, 201, 404, 404}, nullptr, enrolment},

    {"GET /api/v1/node/map", {401, 200, 200, 403, 404, 404}},
    {"PUT /api/v1/node/endpoints", {401, 204, 404, 403, 404, 404}, nullptr, endpoints},
    {"PUT /api/v1/node/inventory", {401, 204, 204, 403, 404, 404}, nullptr, inventory},
    {"POST /api/v1/node/certificate", {401, 201, 201, 403, 404, 404}, nullptr, csr},
    {"POST /api/v1/node/memberships", {401, 201, 401, 403, 404, 404}, nullptr, joining},
    {"DELETE /api/v1/node", {401, 204, 204, 403, 404, 404}},

    {"GET /api/v1/tenants", {401, 401, 401, 401, 200, 200}},
    {"POST /api/v1/tenants", {401, 401, 401, 401, 403, 201}, nullptr, new_name},
    {"GET /api/v1/tenants/{id}", {401, 401, 401, 401, 200, 200}, tenant_id},
    {"PATCH /api/v1/tenants/{id}", {401, 401, 401, 401, 403, 200}, tenant_id, another_name},
    {"DELETE /api/v1/tenants/{id}", {401, 401, 401, 401, 403, 204}, spare_tenant},
    {"GET /api/v1/networks", {401, 401, 401, 401, 200, 200}},
    {"POST /api/v1/networks", {401, 401, 401, 401, 403, 201}, nullptr, new_network},
    {"GET /api/v1/networks/{id}", {401, 401, 401, 401, 200, 200}, network_id},
    {"PATCH /api/v1/networks/{id}", {401, 401, 401, 401, 403, 200}, network_id, new_name},
    {"DELETE /api/v1/networks/{id}", {401, 401, 401, 401, 403, 204}, spare_network},
    {"GET /api/v1/tokens", {401, 401, 401, 401, 200, 200}},
    {"POST /api/v1/tokens", {401, 401, 401, 401, 403, 201}, nullptr, new_token},
    {"GET /api/v1/tokens/{id}", {401, 401, 401, 401, 200, 200}, token_id},
    {"DELETE /api/v1/tokens/{id}", {401, 401, 401, 401, 403, 204}, token_id},
    {"POST /api/v1/tokens/{id}/revoke", {401, 401, 401, 401, 403, 200}, token_id},
    {"GET /api/v1/token-keys", {401, 401, 401, 401, 200, 200}},
    {"POST /api/v1/token-keys", {401, 401, 401, 401, 403, 201}, nullptr, new_token_key},
    {"GET /api/v1/token-keys/{id}", {401, 401, 401, 401, 200, 200}, token_key_id},
    {"DELETE /api/v1/token-keys/{id}", {401, 401, 401, 401, 403, 204}, token_key_id},
    {"GET /api/v1/nodes", {401, 401, 401, 401, 200, 200}},
    {"GET /api/v1/nodes/{id}", {401, 401, 401, 401, 200, 200}, node_id},
    {"PATCH /api/v1/nodes/{id}", {401, 401, 401, 401, 403, 200}, node_id, new_name},
    {"DELETE /api/v1/nodes/{id}", {401, 401, 401, 401, 403, 204}, node_id},
    {"POST /api/v1/nodes/{id}/expire", {401, 401, 401, 401, 403, 200}, node_id},
    {"POST /api/v1/nodes/{id}/revoke", {401, 401, 401, 401, 403, 200}, node_id},
    {"GET /api/v1/audit", {401, 401, 401, 401, 200, 200}},
    {"GET /api/v1/audit/export", {401, 401, 401, 401, 200, 200}},
    {"GET /api/v1/audit/verify", {401, 401, 401, 401, 200, 200}},
};

std::string name_of(const Route& route) {
    return fmt::format("{} {}", route.method, route.pattern);
}

const Row* row_of(const Route& route) {
    const auto found = std::find_if(std::begin(kRows), std::end(kRows),
                                    [&](const Row& row) { return row.route == name_of(route); });
    return found == std::end(kRows) ? nullptr : &*found;
}

struct RouteUnderTest {
    const Route& route;
    const Row& row;
    std::string id;

    std::string path(const std::string& of) const {
        std::string made(route.pattern);
        const size_t hole = made.find("{id}");
        return hole == std::string::npos ? made : made.replace(hole, 4, of);
    }
    std::string method() const { return std::string(route.method); }
};

// What is not there, or is another tenant's, is not found, even by who may do all.
void expect_foreign_is_not_found(AuthorisationTest& test, const RouteUnderTest& it,
                                 const std::string& body) {
    if (it.id.empty()) return;
    const auto writer = test.caller(Writer);
    EXPECT_EQ(test.ask_as(writer, it.method(), it.path(new_uuid(1)), body).status, 404);
    if (it.route.query.empty()) return;
    const std::string foreign = it.path(it.id) + "?tenant=" + test.other_tenant;
    EXPECT_EQ(test.ask_as(writer, it.method(), foreign, body).status, 404);
}

// Not a name, not an id of the tenant.
void expect_nothing_told(AuthorisationTest& test, const http::Response& answer, Who to) {
    std::string told = answer.body;
    for (const auto& chunk : answer.chunks) told += *chunk;
    for (const std::string& secret : {test.tenant, test.token.id, test.node.enrolment.node_id,
                                      test.node.enrolment.name, std::string("office")})
        EXPECT_EQ(told.find(secret), std::string::npos) << kNames[to] << ": " << told;
}

void check_route(AuthorisationTest& test, const Route& route) {
    const Row* row = row_of(route);
    ASSERT_TRUE(row) << "has no row of verdicts";
    const bool has_id = route.pattern.find("{id}") != std::string_view::npos;
    ASSERT_EQ(has_id, row->id != nullptr);
    const RouteUnderTest it{route, *row, has_id ? row->id(test) : ""};

    for (int i = 0; i < kWhos; ++i) {
        const auto who = static_cast<Who>(i);
        const bool is_denied = row->verdicts[i] >= 400;
        const std::string body = row->body ? row->body(test) : "";
        const int64_t before = test.changes();
        if (who == Writer) expect_foreign_is_not_found(test, it, body);
        EXPECT_EQ(test.changes(), before);
        const auto answer = test.ask_as(test.caller(who), it.method(), it.path(it.id), body);
        EXPECT_EQ(answer.status, row->verdicts[i]) << kNames[i] << ": " << answer.body;
        if (is_denied) {
            EXPECT_EQ(test.changes(), before) << kNames[i];
        }
        // Who enrols holds the tenant's own token.
        const bool is_stranger = who == OtherNode && row->body != enrolment;
        if (is_denied || is_stranger) expect_nothing_told(test, answer, who);
    }
}

TEST_F(AuthorisationTest, EachCallerGetsItsVerdictAndADeniedOneChangesAndLearnsNothing) {
    for (const Route& route : routes()) {
        SCOPED_TRACE(name_of(route));
        if (std::exchange(are_spoiled, route.method != "GET")) make_objects();
        check_route(*this, route);
    }
}

TEST(Authorisation, EveryRowIsARoute) {
    for (const Row& row : kRows)
        EXPECT_TRUE(std::any_of(routes().begin(), routes().end(), [&](const Route& route) {
            return name_of(route) == row.route;
        })) << row.route;
}

TEST_F(ApiTest, RootAndTheControllersOwnUserMayWriteOthersOfTheSocketMayRead) {
    http::Request request;
    const auto may_write = [&](uid_t uid) {
        request.local = http::LocalPeer{uid, 0, 1};
        request.method = "POST";
        const auto who = std::get<AdminIdentity>(admin_on_socket(request));
        return !refuse_role(who, Needs::Operator, request);
    };
    EXPECT_TRUE(may_write(0));
    EXPECT_TRUE(may_write(getuid()));
    EXPECT_FALSE(may_write(getuid() + 1));
    request.local.reset();
    request.peer = *Endpoint::parse("127.0.0.1:1");  // an address proves nothing
    EXPECT_TRUE(std::holds_alternative<http::Response>(admin_on_socket(request)));
}

// "GET /path" of every operation under `paths:`; the file is ours, so its layout is known.
std::vector<std::string> described() {
    std::ifstream file(CVLAN_TEST_DATA "/../../api/openapi.yaml");
    std::vector<std::string> operations;
    std::string line;
    std::string path;
    while (std::getline(file, line) && line != "components:") {
        if (line.starts_with("  /") && line.ends_with(":")) path = line.substr(2, line.size() - 3);
        for (std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
            std::string key = method;
            for (char& c : key) c = static_cast<char>(c - 'A' + 'a');
            if (line == "    " + key + ":") operations.push_back(method + " " + path);
        }
    }
    std::sort(operations.begin(), operations.end());
    return operations;
}

TEST(Authorisation, TheRoutesAreThoseThatOpenapiDescribes) {
    std::vector<std::string> served;
    for (const Route& route : routes()) served.push_back(name_of(route));
    std::sort(served.begin(), served.end());
    EXPECT_EQ(served, described());
}

}  // namespace
}  // namespace cvlan::api
