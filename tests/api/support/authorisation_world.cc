// SPDX-License-Identifier: Apache-2.0
#include "tests/api/support/authorisation_world.h"

#include <unistd.h>

namespace cvlan::api {

namespace wire = model::wire;
using model::Account;
using model::AccountKind;
using model::TenantRole;

namespace {

std::string hash_of(const std::string& secret) { return hex(sha256(as_bytes(secret))); }
constexpr const char* kPassword = "correct horse battery";

}  // namespace

AuthorisationTest::AuthorisationTest() {
    member = user(tenant, TenantRole::Member);
    auditor = user(tenant, TenantRole::Auditor);
    admin = user(tenant, TenantRole::Admin);
    owner = user(tenant, TenantRole::Owner);
    other_admin = user(other_tenant, TenantRole::Admin);
    with_password = user(tenant, TenantRole::Member);
    for (const Account* account : {&member, &auditor, &admin, &owner, &other_admin, &with_password})
        give_password(*account);
}

void AuthorisationTest::give_password(const Account& account) {
    const auto link =
        expect<wire::OneTimeLink>(201, ask("POST", "/api/v1/users/" + account.id + "/link"));
    EXPECT_EQ(ask("POST", "/api/v1/auth/links",
                  encode(wire::LinkUse{link.link.substr(link.link.find('#') + 1), kPassword, {}}))
                  .status,
              200);
}

void AuthorisationTest::make_nodes() {
    token = make_token(tenant, network, 40);
    node = enrolled(token.token, unique("canary"));
    other = enrolled(make_token(other_tenant, elsewhere).token, "");
}

// As our CA would never issue it: the other tenant's name with the node's id.
std::string AuthorisationTest::forged() {
    const auto request = *pki::Csr::parse(*pki::create_csr(*pki::TlsKey::generate()));
    return authority
        .issue_node(request, {other_tenant, node.enrolment.node_id, model::TokenRole::Node},
                    clock.now())
        ->chain_pem;
}

ApiTest::Caller AuthorisationTest::with_token(const Account& account) {
    const std::string secret = unique("cvlan_pat_" + account.id);
    access_token(account, secret);
    return {.headers = {{"Authorization", "Bearer " + secret}}};
}

// If-Match: any, for the routes that need one.
ApiTest::Caller AuthorisationTest::caller(Asker who) {
    Caller made_caller = bare_caller(who);
    made_caller.if_match = "*";
    return made_caller;
}

ApiTest::Caller AuthorisationTest::bare_caller(Asker who) {
    const Roles of_socket{Role::Api, Role::Discovery};  // as Controller::listen_local
    const uid_t stranger = getuid() + 1000;
    switch (who) {
        case Node:
            return {.certificate = node.enrolment.certificate};
        case OtherNode:
            return {.certificate = other.enrolment.certificate};
        case ForeignId:
            return {.certificate = forged()};
        case Member:
            return with_token(member);
        case Auditor:
            return with_token(auditor);
        case TenantAdmin:
            return with_token(admin);
        case Owner:
            return with_token(owner);
        case OtherAdmin:
            return with_token(other_admin);
        case Reader:
            return {.local = http::LocalPeer{stranger, 0, 1}, .roles = of_socket};
        case Operator:
            return {.local = http::LocalPeer{0, 0, 1}, .roles = of_socket};
        default:
            return {};
    }
}

Account AuthorisationTest::user(const std::string& tenant_id, TenantRole role, AccountKind kind) {
    const std::string name = unique("canary");
    auto account = store->accounts().create(
        {}, {tenant_id, kind, kind == AccountKind::User ? name + "@example.org" : name, role});
    EXPECT_TRUE(account) << account.error().message;
    return *account;
}

std::string AuthorisationTest::access_token(const Account& account, const std::string& secret) {
    auto token_made = store->accounts().create_token(store::Key{account.tenant_id, account.id},
                                                     {{account.tenant_id, account.id},
                                                      "t",
                                                      "cvlan_pat_",
                                                      hash_of(secret),
                                                      clock.now() + std::chrono::hours(1)});
    EXPECT_TRUE(token_made) << token_made.error().message;
    return token_made->id;
}

std::string AuthorisationTest::token_for(const std::string& of_tenant,
                                         const std::string& of_network, const Account* account,
                                         bool wants_node) {
    const Caller by = account ? with_token(*account) : Caller{.local = http::LocalPeer{}};
    const auto body = fmt::format(R"({{"tenantId":"{}","networkId":"{}"}})", of_tenant, of_network);
    const auto made_token =
        expect<wire::TokenCreated>(201, ask_as(by, "POST", "/api/v1/tokens", body));
    return wants_node ? enrolled(made_token.token, unique("canary")).enrolment.node_id
                      : made_token.id;
}

int64_t AuthorisationTest::changes() {
    const auto all = store->tenants({});
    const auto of_operator = store->events_since("", 0, 100000);
    return store->tenant(tenant)->revision + store->tenant(other_tenant)->revision +
           static_cast<int64_t>(all->items.size()) + static_cast<int64_t>(of_operator->size());
}

std::vector<std::string> AuthorisationTest::canaries() {
    return {tenant,
            token.id,
            node.enrolment.node_id,
            node.enrolment.name,
            network,
            "\"office\"",
            member.id,
            member.name,
            owner.id,
            owner.name};
}

std::vector<std::string> AuthorisationTest::canaries_of_siblings() {
    return {token.id,    node.enrolment.node_id, node.enrolment.name, owner.id, owner.name,
            other_tenant};
}

std::string missing(AuthorisationTest&) { return new_uuid(1); }
std::string tenant_id(AuthorisationTest& t) { return t.tenant; }
std::string other_tenant_id(AuthorisationTest& t) { return t.other_tenant; }
std::string spare_tenant(AuthorisationTest& t) { return t.make_tenant(t.unique("spare")); }
std::string network_id(AuthorisationTest& t) { return t.network; }

static std::string network_in(AuthorisationTest& t, const std::string& tenant) {
    const std::string name = t.unique("spare");
    return t.make_network(tenant, fmt::format("10.{}.{}.0/24", t.made / 200, t.made % 200), name);
}
std::string spare_network(AuthorisationTest& t) { return network_in(t, t.tenant); }
std::string foreign_network(AuthorisationTest& t) { return network_in(t, t.other_tenant); }
std::string own_token(AuthorisationTest& t) {
    return t.token_for(t.tenant, t.network, &t.member, false);
}
std::string sibling_token(AuthorisationTest& t) {
    return t.token_for(t.tenant, t.network, nullptr, false);
}
std::string foreign_token(AuthorisationTest& t) {
    return t.token_for(t.other_tenant, t.elsewhere, nullptr, false);
}
static std::string token_key_in(AuthorisationTest& t, const std::string& tenant) {
    return fmt::format(R"({{"tenantId":"{}","name":"{}","publicKey":"{}"}})", tenant,
                       t.unique("key"), pki::SigningKey::generate().public_key().to_base64());
}
static std::string made_token_key(AuthorisationTest& t, const std::string& tenant) {
    return t
        .expect<wire::TokenKeyCreated>(201,
                                       t.ask("POST", "/api/v1/token-keys", token_key_in(t, tenant)))
        .token_key.id;
}
std::string new_token_key(AuthorisationTest& t) { return token_key_in(t, t.tenant); }
std::string token_key_id(AuthorisationTest& t) { return made_token_key(t, t.tenant); }
std::string foreign_token_key(AuthorisationTest& t) { return made_token_key(t, t.other_tenant); }
std::string own_node(AuthorisationTest& t) {
    return t.token_for(t.tenant, t.network, &t.member, true);
}
std::string sibling_node(AuthorisationTest& t) {
    return t.token_for(t.tenant, t.network, nullptr, true);
}
std::string foreign_node(AuthorisationTest& t) {
    return t.token_for(t.other_tenant, t.elsewhere, nullptr, true);
}
// A tenant has only so many: one that is there is taken.
static std::string webhook_in(AuthorisationTest& t, const std::string& tenant) {
    const auto all = t.store->webhooks().list({.tenant = tenant});
    if (all && !all->items.empty()) return all->items.front().id;
    const auto made = t.store->webhooks().create({tenant, t.unique("hook"), "https://h.test/", {}});
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->id : "";
}
std::string webhook_id(AuthorisationTest& t) { return webhook_in(t, t.tenant); }
std::string foreign_webhook(AuthorisationTest& t) { return webhook_in(t, t.other_tenant); }
std::string job_id(AuthorisationTest& t) {
    EXPECT_TRUE(t.store->jobs().ensure({"sweep"}));
    return t.store->jobs().list({})->items.front().id;
}
std::string own_user(AuthorisationTest& t) { return t.user(t.tenant, TenantRole::Member).id; }
std::string owner_user(AuthorisationTest& t) { return t.user(t.tenant, TenantRole::Owner).id; }
std::string foreign_user(AuthorisationTest& t) {
    return t.user(t.other_tenant, TenantRole::Admin).id;
}
std::string own_service(AuthorisationTest& t) {
    return t.user(t.tenant, TenantRole::Member, AccountKind::Service).id;
}
std::string owner_service(AuthorisationTest& t) {
    return t.user(t.tenant, TenantRole::Owner, AccountKind::Service).id;
}
std::string foreign_service(AuthorisationTest& t) {
    return t.user(t.other_tenant, TenantRole::Admin, AccountKind::Service).id;
}
std::string own_access_token(AuthorisationTest& t) {
    return t.access_token(t.member, t.unique("secret"));
}
std::string sibling_access_token(AuthorisationTest& t) {
    return t.access_token(t.auditor, t.unique("secret"));
}
std::string foreign_access_token(AuthorisationTest& t) {
    return t.access_token(t.other_admin, t.unique("secret"));
}

std::string object_in(AuthorisationTest& t, const std::string& tenant, model::ObjectKind kind) {
    const auto made = t.store->objects().create({tenant, {}, kind, t.unique("canary"), ""});
    EXPECT_TRUE(made) << made.error().message;
    return made->id;
}
// A network whose vrouter holds the tunnel.
static void give_vrouter(AuthorisationTest& t, const std::string& tenant,
                         const std::string& network) {
    if (!t.have_vrouter.insert(network).second) return;
    model::Object vrouter{tenant, {}, model::ObjectKind::Vrouter, t.unique("canary"), ""};
    vrouter.links[model::Relation::Network] = {network};
    const auto made = t.store->objects().create(vrouter);
    EXPECT_TRUE(made) << made.error().message;
}
static std::string new_subnet(AuthorisationTest& t) {
    return fmt::format("172.{}.{}.0/24", 16 + t.made / 200, t.made % 200);
}
static std::string connection_in(AuthorisationTest& t, const std::string& tenant,
                                 const std::string& network) {
    give_vrouter(t, tenant, network);
    model::Connection wanted;
    wanted.tenant_id = tenant;
    wanted.network_id = network;
    wanted.name = t.unique("canary");
    wanted.remote_identity = "fw.example";
    wanted.remote_addresses = {*Address::parse("192.0.2.1")};
    wanted.remote_subnets = {*Prefix::parse(new_subnet(t))};
    const auto made = t.store->connections().create(
        wanted, "test.cvlan.internal", [](const model::Connection&) { return "sealed"; });
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->id : "";
}
std::string own_connection(AuthorisationTest& t) { return connection_in(t, t.tenant, t.network); }
std::string foreign_connection(AuthorisationTest& t) {
    return connection_in(t, t.other_tenant, t.elsewhere);
}
std::string new_connection(AuthorisationTest& t) {
    give_vrouter(t, t.tenant, t.network);
    const std::string name = t.unique("fresh");
    return fmt::format(
        R"({{"tenantId":"{}","name":"{}","networkId":"{}","remoteAddresses":["192.0.2.1"],)"
        R"("remoteIdentity":"fw.example","auth":"PSK","secret":"{}","remoteSubnets":["{}"]}})",
        t.tenant, name, t.network, base64(random_bytes(32)), new_subnet(t));
}
static std::string policy_in(AuthorisationTest& t, const std::string& tenant) {
    const auto made = t.store->policies().create({tenant, {}, t.unique("canary"), "", "allow"});
    EXPECT_TRUE(made) << made.error().message;
    return made->id;
}
std::string own_policy(AuthorisationTest& t) { return policy_in(t, t.tenant); }
std::string foreign_policy(AuthorisationTest& t) { return policy_in(t, t.other_tenant); }
static std::string external_in(AuthorisationTest& t, const std::string& tenant,
                               const std::string& network) {
    const auto made = t.store->create_external(
        {tenant, t.unique("canary"), network, base64(random_bytes(32)), {}});
    EXPECT_TRUE(made) << made.error().message;
    return made->id;
}
std::string own_external(AuthorisationTest& t) { return external_in(t, t.tenant, t.network); }
std::string foreign_external(AuthorisationTest& t) {
    return external_in(t, t.other_tenant, t.elsewhere);
}
std::string suspended_tenant(AuthorisationTest& t) {
    std::string id = spare_tenant(t);
    EXPECT_TRUE(t.store->update_tenant(id, {.suspended = true}));
    return id;
}
std::string new_object(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","name":"{}"}})", t.tenant, t.unique("fresh"));
}
std::string new_policy(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","name":"{}","source":"deny"}})", t.tenant,
                       t.unique("fresh"));
}
std::string new_source(AuthorisationTest& t) {
    return fmt::format(R"({{"name":"{}","source":"deny"}})", t.unique("fresh"));
}
std::string first_number(AuthorisationTest&) { return R"({"number":1})"; }
std::string some_settings(AuthorisationTest&) { return R"({"mapExpiry":"DROP"})"; }
std::string new_external(AuthorisationTest& t) {
    return fmt::format(
        R"({{"tenantId":"{}","name":"{}","networkId":"{}","wireguardPublicKey":"{}"}})", t.tenant,
        t.unique("fresh"), t.network, base64(random_bytes(32)));
}

std::string new_name(AuthorisationTest& t) {
    return fmt::format(R"({{"name":"{}"}})", t.unique("renamed"));
}
std::string inventory(AuthorisationTest&) { return R"({"hostname":"h"})"; }
std::string endpoints(AuthorisationTest& t) {
    return fmt::format(
        R"({{"networks":[{{"networkId":"{}","listenPort":1,"endpoints":["192.0.2.9:1"]}}]}})",
        t.network);
}
std::string health(AuthorisationTest& t) {
    t.clock.advance(std::chrono::seconds(5));  // as often as it is taken
    return fmt::format(R"({{"peers":[{{"networkId":"{}","nodeId":"{}","path":"NONE"}}]}})",
                       t.network, missing(t));
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
std::string new_network(AuthorisationTest& t) {
    const std::string name = t.unique("third");
    return fmt::format(R"({{"tenantId":"{}","name":"{}","ipv4":"10.{}.{}.0/24"}})", t.tenant, name,
                       t.made / 200, t.made % 200);
}
std::string new_token(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","networkId":"{}"}})", t.tenant, t.network);
}
std::string password(AuthorisationTest& t) {
    return encode(wire::Login{"acme", t.with_password.name, kPassword});
}
std::string own_password(AuthorisationTest&) {
    return encode(wire::PasswordChange{kPassword, kPassword});
}
std::string link_of_user(AuthorisationTest& t) {
    const auto user = t.user(t.tenant, TenantRole::Member);
    const std::string secret = t.unique("link");
    EXPECT_TRUE(t.store->accounts().invite(
        {}, {user.tenant_id, user.id}, {hash_of(secret), t.clock.now() + std::chrono::hours(1)}));
    return encode(wire::LinkUse{secret, kPassword, {}});
}
std::string new_user(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","email":"{}@example.org","role":"MEMBER"}})", t.tenant,
                       t.unique("new"));
}
std::string new_service_account(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","name":"{}","role":"MEMBER"}})", t.tenant,
                       t.unique("new"));
}
std::string new_access_token(AuthorisationTest&) { return R"({"name":"mine"})"; }
std::string new_certificate(AuthorisationTest&) {
    wire::CertificateCreate wanted;
    wanted.name = "mine";
    wanted.csr = *pki::create_csr(*pki::TlsKey::generate());
    return encode(wanted);
}
std::string new_webhook(AuthorisationTest& t) {
    return fmt::format(R"({{"tenantId":"{}","name":"{}","url":"https://h.test/"}})", t.tenant,
                       t.unique("hook"));
}
std::string enabling(AuthorisationTest&) { return R"({"enabled":true})"; }
std::string disabling(AuthorisationTest&) { return R"({"disabled":true})"; }

}  // namespace cvlan::api
