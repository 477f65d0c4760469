// SPDX-License-Identifier: Apache-2.0
// What a request shows: sessions, access tokens, links. The mutation run holds each refusal of
// api/auth_credentials.cc against these and the matrix.
#include <fstream>

#include "api/logins.h"
#include "pki/certificate.h"
#include "store/sqlite.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;
using model::TenantRole;
using namespace std::chrono_literals;

constexpr const char* kPassword = "correct horse battery";

struct CredentialsTest : ApiTest {
    std::string tenant = make_tenant();
    model::Account anna = user("anna@example.org", TenantRole::Admin);

    model::Account user(const std::string& email, TenantRole role) {
        const auto secret = base64url(random_bytes(32));
        auto made = store->accounts().create(
            {}, {tenant, model::AccountKind::User, email, role,
                 store::Link{hex(sha256(as_bytes(secret))), clock.now() + 1h}});
        EXPECT_TRUE(made) << made.error().message;
        const auto used =
            ask_as({}, "POST", "/api/v1/auth/links", encode(wire::LinkUse{secret, kPassword, {}}));
        EXPECT_EQ(used.status, 200) << used.body;
        return *made;
    }
    http::Response log_in(const std::string& password = kPassword,
                          const std::string& email = "anna@example.org",
                          const std::string& in = "acme") {
        return ask_as({}, "POST", "/api/v1/auth/login", encode(wire::Login{in, email, password}));
    }
    struct Browser {
        std::string cookie;
        std::string csrf;
    };
    Browser browser() {
        const auto answer = log_in();
        const auto session = expect<wire::Session>(201, answer);
        const std::string cookie = answer.header("Set-Cookie") ? *answer.header("Set-Cookie") : "";
        EXPECT_NE(cookie.find("; Path=/; Secure; HttpOnly; SameSite=Strict"), std::string::npos);
        return {cookie.substr(0, cookie.find(';')), session.csrf_token};
    }
    int with(const http::Headers& headers, const std::string& method = "GET",
             const std::string& path = "/api/v1/auth/me", const std::string& body = "") {
        return ask_as({.headers = headers}, method, path, body).status;
    }
    int rename(const http::Headers& headers) {
        return with(headers, "PATCH", "/api/v1/users/" + anna.id, R"({"disabled":false})");
    }
    int change(const Browser& by, const std::string& password, const std::string& wanted) {
        return with({{"Cookie", by.cookie}, {"X-CSRF-Token", by.csrf}}, "POST",
                    "/api/v1/auth/password", encode(wire::PasswordChange{password, wanted}));
    }
    std::string bearer(std::chrono::hours life = 24h) {
        const Browser by = browser();
        const auto answer =
            ask_as({.headers = {{"Cookie", by.cookie}, {"X-CSRF-Token", by.csrf}}}, "POST",
                   "/api/v1/access-tokens",
                   fmt::format(R"({{"name":"ci","expiresIn":"{}h"}})", life.count()));
        return "Bearer " + expect<wire::AccessTokenCreated>(201, answer).token;
    }
    wire::CertificateCreated certificate() {
        wire::CertificateCreate wanted;
        wanted.name = "laptop";
        wanted.csr = *pki::create_csr(*pki::TlsKey::generate());
        wanted.expires_in = "1h";
        return expect<wire::CertificateCreated>(
            201, ask_as({.headers = {{"Authorization", bearer()}}}, "POST", "/api/v1/certificates",
                        encode(wanted)));
    }
    std::vector<std::string> outcomes(const std::string& of_tenant) {
        context.refusals->flush();
        std::vector<std::string> all;
        const auto page = *store->audit({.tenant_id = of_tenant, .page_size = 1000});
        for (const auto& entry : page.items)
            if (entry.outcome != "OK") all.push_back(entry.outcome);
        return all;
    }
};

TEST_F(CredentialsTest, ASessionIsItsCookieAndChangesNeedItsToken) {
    const Browser by = browser();
    EXPECT_EQ(with({{"Cookie", by.cookie}}), 200);
    EXPECT_EQ(with({{"Cookie", "a=b; " + by.cookie + "; c=d"}}), 200);
    EXPECT_EQ(with({{"Cookie", "x" + by.cookie}}), 401);
    EXPECT_EQ(with({{"Cookie", by.cookie + "x"}}), 401);
    EXPECT_EQ(rename({{"Cookie", by.cookie}}), 403);
    EXPECT_EQ(rename({{"Cookie", by.cookie}, {"X-CSRF-Token", browser().csrf}}), 403);
    EXPECT_EQ(rename({{"Cookie", by.cookie}, {"X-CSRF-Token", by.csrf}}), 200);
    EXPECT_EQ(
        with({{"Cookie", by.cookie}, {"X-CSRF-Token", by.csrf}}, "POST", "/api/v1/auth/logout"),
        204);
    EXPECT_EQ(with({{"Cookie", by.cookie}}), 401);
}

TEST_F(CredentialsTest, PagesOfAnotherOriginChangeNothing) {
    const Browser by = browser();
    const http::Headers good{
        {"Host", "controller.test:8443"}, {"Cookie", by.cookie}, {"X-CSRF-Token", by.csrf}};
    const auto from = [&](const std::string& origin) {
        http::Headers headers = good;
        headers.push_back({"Origin", origin});
        return rename(headers);
    };
    EXPECT_EQ(from("https://controller.test:8443"), 200);
    EXPECT_EQ(from("http://controller.test:8443"), 403);
    EXPECT_EQ(from("https://evil.test"), 403);
    EXPECT_EQ(from("null"), 403);
    EXPECT_EQ(
        with({{"Host", "controller.test:8443"}, {"Origin", "https://evil.test"}}, "POST",
             "/api/v1/auth/login", encode(wire::Login{"acme", "anna@example.org", kPassword})),
        403);
}

TEST_F(CredentialsTest, ASessionEndsByTheClockWhateverItsBrowserDoes) {
    const Browser idle = browser();
    clock.advance(kSessionIdle - 1s);
    EXPECT_EQ(with({{"Cookie", idle.cookie}}), 200);
    clock.advance(kSessionIdle);
    EXPECT_EQ(with({{"Cookie", idle.cookie}}), 401);
    const Browser busy = browser();
    for (int i = 0; i < 13; ++i) {  // another hour each, less a second
        EXPECT_EQ(with({{"Cookie", busy.cookie}}), 200) << i;
        clock.advance(kSessionIdle - 1s);
    }
    EXPECT_EQ(with({{"Cookie", busy.cookie}}), 401);
}

TEST_F(CredentialsTest, WhoIsWrongLearnsNothingAndIsLockedOutForAWhile) {
    const auto known = log_in("wrong password");
    const auto unknown = log_in("wrong password", "nobody@example.org");
    EXPECT_EQ(known.status, 401);
    EXPECT_EQ(known.body, unknown.body);
    EXPECT_EQ(log_in(kPassword, "anna@example.org", "other").status, 401);
    EXPECT_EQ(outcomes(tenant), std::vector<std::string>{"LOGIN_REFUSED"});
    EXPECT_EQ(outcomes(""), std::vector<std::string>{"LOGIN_REFUSED"}) << "both in one";
    for (int i = 1; i < 10; ++i) EXPECT_EQ(log_in("wrong password").status, 401) << i;
    EXPECT_EQ(log_in().status, 429) << "the right password, while it is locked";
    const auto all_refused = outcomes(tenant);
    EXPECT_EQ(std::count(all_refused.begin(), all_refused.end(), "LOGIN_LOCKED"), 1);
    user("bert@example.org", TenantRole::Member);
    EXPECT_EQ(log_in(kPassword, "bert@example.org").status, 201);
    clock.advance(15min);
    EXPECT_EQ(log_in().status, 201);
    const auto all = store->audit({.tenant_id = tenant, .page_size = 1000})->items;
    EXPECT_EQ(all.back().action, "SESSION_STARTED");
    EXPECT_EQ(all.back().actor, anna.actor());
    EXPECT_EQ(all.back().source, "198.51.100.7");
}

TEST_F(CredentialsTest, AUsedOrGuessedLinkIsAnAttemptThatTheAuditHas) {
    const auto use = [&](const std::string& secret) {
        return ask_as({}, "POST", "/api/v1/auth/links",
                      encode(wire::LinkUse{secret, kPassword, {}}))
            .status;
    };
    const auto link =
        expect<wire::OneTimeLink>(201, ask("POST", "/api/v1/users/" + anna.id + "/link")).link;
    const std::string secret = link.substr(link.find('#') + 1);
    EXPECT_EQ(use(secret), 200);
    EXPECT_TRUE(outcomes("").empty());
    EXPECT_EQ(use(secret), 410);
    EXPECT_EQ(outcomes(""), std::vector<std::string>{"LINK_INVALID"});
    EXPECT_EQ(use(std::string(43, 'x')), 410);
    EXPECT_EQ(outcomes(""), (std::vector<std::string>{"LINK_INVALID", "LINK_INVALID"}));
    const auto noted = store->audit({})->items.back();
    EXPECT_EQ(noted.action, "POST /api/v1/auth/links");
    EXPECT_EQ(noted.actor, "anonymous");
    EXPECT_EQ(noted.source, "198.51.100.7");
}

TEST_F(CredentialsTest, ALinkWaitsForTheEndOfItsTenantsSuspension) {
    const auto link =
        expect<wire::OneTimeLink>(201, ask("POST", "/api/v1/users/" + anna.id + "/link")).link;
    const auto use = [&] {
        return ask_as({}, "POST", "/api/v1/auth/links",
                      encode(wire::LinkUse{link.substr(link.find('#') + 1), kPassword, {}}));
    };
    ASSERT_EQ(ask("POST", "/api/v1/tenants/" + tenant + "/suspend").status, 200);
    const auto refused = use();
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(code_of(refused), store::kTenantSuspended);
    ASSERT_EQ(ask("POST", "/api/v1/tenants/" + tenant + "/resume").status, 200);
    EXPECT_EQ(use().status, 200);
}

TEST_F(CredentialsTest, APageOfAnotherOriginThatLogsInOrUsesALinkStandsInTheAudit) {
    const http::Headers foreign{{"Host", "controller.test:8443"}, {"Origin", "https://evil.test"}};
    EXPECT_EQ(with(foreign, "POST", "/api/v1/auth/login",
                   encode(wire::Login{"acme", "anna@example.org", kPassword})),
              403);
    EXPECT_EQ(outcomes(""), std::vector<std::string>{"ORIGIN"});
    EXPECT_EQ(
        with(foreign, "POST", "/api/v1/auth/links", encode(wire::LinkUse{"x", kPassword, {}})),
        403);
    EXPECT_EQ(outcomes("").size(), 2u);
}

TEST_F(CredentialsTest, AThousandRefusedAttemptsMakeFewLines) {
    const auto lines_of = [&](int attempts, auto attempt) {
        testing::internal::CaptureStderr();
        for (int i = 0; i < attempts; ++i) attempt();
        const std::string log = testing::internal::GetCapturedStderr();
        return std::count(log.begin(), log.end(), '\n');
    };
    for (int i = 0; i < 10; ++i) log_in("wrong password");
    EXPECT_EQ(lines_of(1000, [&] { EXPECT_EQ(log_in().status, 429); }), 1);
    EXPECT_EQ(lines_of(50,
                       [&] {
                           ask_as({}, "POST", "/api/v1/auth/links",
                                  encode(wire::LinkUse{"guess", kPassword, {}}));
                       }),
              1);
    clock.advance(1min);
    testing::internal::CaptureStderr();
    EXPECT_EQ(log_in().status, 429);
    EXPECT_NE(testing::internal::GetCapturedStderr().find("left_out=999"), std::string::npos);
    context.refusals->flush();
    int64_t attempts = 0;
    const auto page = store->audit({.tenant_id = tenant, .page_size = 1000});
    for (const auto& entry : page->items)
        if (entry.outcome == "LOGIN_LOCKED") attempts += entry.count;
    EXPECT_EQ(attempts, 1001) << "the audit has them all";
}

// Each connection may have one under way: those beyond the limit are refused though they are right.
TEST_F(CredentialsTest, GuessesAtTheSameTimeAreCountedToo) {
    std::vector<int> statuses;
    std::vector<std::shared_ptr<http::Exchange>> exchanges;
    for (int i = 0; i < 20; ++i) {
        exchanges.push_back(std::make_shared<http::Exchange>(http::Exchange{
            [&](const http::Response& answer) { statuses.push_back(answer.status); }}));
        http::Request request;
        request.method = "POST";
        request.path = "/api/v1/auth/login";
        request.body = encode(wire::Login{"acme", "anna@example.org", "wrong password"});
        request.peer = *Endpoint::parse("198.51.100.7:1");
        handle(context, {Role::Api}, std::move(request), http::Reply(exchanges.back()));
    }
    while (passwords.pending() > 0) loop.run_once(100ms);
    EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 401), 10);
    EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 429), 10);
}

TEST_F(CredentialsTest, WhoKnowsThePasswordChangesItAndEndsTheOtherSessions) {
    const Browser by = browser(), other = browser();
    const std::string token = bearer();
    const auto link =
        expect<wire::OneTimeLink>(201, ask("POST", "/api/v1/users/" + anna.id + "/link"));
    EXPECT_EQ(change(by, "wrong password", "another horse battery"), 403);
    EXPECT_EQ(outcomes(tenant), std::vector<std::string>{"PASSWORD_REFUSED"});
    EXPECT_EQ(change(by, kPassword, "too short"), 400);
    EXPECT_EQ(change({by.cookie, other.csrf}, kPassword, "another horse battery"), 403);
    EXPECT_EQ(with({{"Cookie", other.cookie}}), 200) << "nothing was changed yet";
    EXPECT_EQ(change(by, kPassword, "another horse battery"), 204);
    EXPECT_EQ(with({{"Cookie", by.cookie}}), 200);
    EXPECT_EQ(with({{"Cookie", other.cookie}}), 401);
    EXPECT_EQ(with({{"Authorization", token}}), 200);
    EXPECT_EQ(log_in().status, 401);
    EXPECT_EQ(log_in("another horse battery").status, 201);
    EXPECT_EQ(
        ask_as({}, "POST", "/api/v1/auth/links",
               encode(wire::LinkUse{link.link.substr(link.link.find('#') + 1), kPassword, {}}))
            .status,
        410);
    const auto set = store->audit({.tenant_id = tenant, .action = "PASSWORD_SET"})->items.back();
    EXPECT_EQ(set.actor, anna.actor());
    EXPECT_EQ((set.before + set.after).find("argon2"), std::string::npos);
}

TEST_F(CredentialsTest, GuessesAtThePresentPasswordLockItsChangeAndNotTheLogin) {
    const Browser by = browser();
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(change(by, "wrong password", "another horse battery"), 403) << i;
    EXPECT_EQ(change(by, kPassword, "another horse battery"), 429);
    EXPECT_EQ(log_in().status, 201);
    clock.advance(15min);
    EXPECT_EQ(change(by, kPassword, "another horse battery"), 204);
}

TEST_F(CredentialsTest, WhoHasNoPasswordChangesNone) {
    const auto service = *store->accounts().create(
        {}, {tenant, model::AccountKind::Service, "ci", TenantRole::Admin});
    const auto made = expect<wire::AccessTokenCreated>(
        201, ask("POST", "/api/v1/access-tokens",
                 fmt::format(R"({{"name":"ci","serviceAccountId":"{}"}})", service.id)));
    const std::string body = encode(wire::PasswordChange{kPassword, "another horse battery"});
    EXPECT_EQ(
        with({{"Authorization", "Bearer " + made.token}}, "POST", "/api/v1/auth/password", body),
        400);
    EXPECT_EQ(ask("POST", "/api/v1/auth/password", body).status, 400) << "on the socket";
}

TEST(Passwords, AQueueThatIsFullSaysSo) {
    EventLoop loop;
    // One takes far longer than to queue them all.
    Passwords passwords{loop, {.memory_kib = 64 * 1024, .passes = 3}};
    size_t queued = 0;
    while (passwords.hash(
        SecretText("x"), [](const std::string&) {}, nullptr))
        ++queued;
    EXPECT_GE(queued, Passwords::kQueue);
    EXPECT_EQ(passwords.pending(), queued);
    // Meanwhile a thread may have taken one out.
    while (passwords.verify(
        "", SecretText("x"), [](bool) {}, nullptr))
        ++queued;
    EXPECT_EQ(passwords.pending(), queued);
}

TEST(Passwords, OnlyTheRightOneIsRight) {
    EventLoop loop;
    Passwords passwords{loop, {.memory_kib = 8, .passes = 1}};
    std::string hash;
    std::vector<bool> verdicts;
    const auto finish = [&] {
        while (passwords.pending() > 0) loop.run_once(100ms);
    };
    ASSERT_TRUE(passwords.hash(
        SecretText("right"), [&](std::string made) { hash = made; }, &loop));
    finish();
    EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$")) << hash;
    for (const char* word : {"right", "wrong", ""}) {
        ASSERT_TRUE(passwords.verify(
            hash, SecretText(word), [&](bool is) { verdicts.push_back(is); }, &loop));
        finish();
    }
    ASSERT_TRUE(passwords.verify(
        "", SecretText(""), [&](bool is) { verdicts.push_back(is); }, &loop));
    finish();
    EXPECT_EQ(verdicts, (std::vector<bool>{true, false, false, false}));
}

TEST_F(CredentialsTest, AnAccessTokenIsGoodUntilItIsNot) {
    const std::string token = bearer();
    EXPECT_EQ(with({{"Authorization", token}}), 200);
    EXPECT_EQ(rename({{"Authorization", token}}), 200) << "no browser sends it by itself";
    EXPECT_EQ(with({{"Authorization", token + "x"}}), 401);
    EXPECT_EQ(with({{"Authorization", "Basic " + token.substr(7)}}), 401);
    EXPECT_EQ(with({{"Authorization", "Digest " + token.substr(7)}}), 401);
    EXPECT_EQ(with({{"Authorization", token}, {"authorization", token}}), 401);
    EXPECT_EQ(with({{"Authorization", "Bearer x"}, {"Cookie", browser().cookie}}), 401);
    EXPECT_EQ(with({{"Cookie", std::string(kSessionCookie) + "=" + token.substr(7)}}), 401);
    EXPECT_EQ(with({{"Authorization", "Bearer " + browser().cookie.substr(13)}}), 401);
    clock.advance(24h - 1s);
    EXPECT_EQ(with({{"Authorization", token}}), 200);
    clock.advance(1s);
    EXPECT_EQ(with({{"Authorization", token}}), 401);
}

TEST_F(CredentialsTest, WhatIsTakenAwayIsRefusedAtOnceAndByOtherControllersWithinFiveSeconds) {
    const std::string token = bearer();
    AdminAuth elsewhere{*store, clock};  // hears of no event
    http::Request request;
    request.headers = {{"Authorization", token}};
    const auto is_good = [&] {
        return std::holds_alternative<AdminIdentity>(elsewhere.admin(request));
    };
    EXPECT_TRUE(is_good());
    ASSERT_TRUE(store->accounts().change({}, {tenant, anna.id}, {{}, true}));
    EXPECT_EQ(with({{"Authorization", token}}), 401);
    clock.advance(5s);
    EXPECT_FALSE(is_good());
    ASSERT_TRUE(store->accounts().change({}, {tenant, anna.id}, {TenantRole::Auditor, false}));
    EXPECT_EQ(with({{"Authorization", token}}), 200);
    EXPECT_EQ(rename({{"Authorization", token}}), 403);
    ASSERT_TRUE(store->accounts().remove({}, {tenant, anna.id}));
    EXPECT_EQ(with({{"Authorization", token}}), 401);
    clock.advance(5s);
    EXPECT_FALSE(is_good());
}

TEST_F(CredentialsTest, NobodyOfASuspendedTenantGetsIn) {
    const Browser by = browser();
    const std::string token = bearer();
    const std::string path = "/api/v1/tenants/" + tenant;
    const auto statuses = [&] {
        return std::array{with({{"Cookie", by.cookie}}), with({{"Authorization", token}}),
                          log_in().status, log_in("wrong password").status};
    };
    AdminAuth elsewhere{*store, clock};  // hears of no event
    http::Request request;
    request.headers = {{"Authorization", token}};
    EXPECT_TRUE(std::holds_alternative<AdminIdentity>(elsewhere.admin(request)));
    ASSERT_EQ(ask("POST", path + "/suspend").status, 200);
    EXPECT_EQ(statuses(), (std::array{403, 403, 403, 401})) << "a guess learns nothing";
    EXPECT_EQ(code_of(log_in()), "TENANT_SUSPENDED");
    EXPECT_EQ(code_of(ask_as({.headers = {{"Authorization", token}}}, "GET", "/api/v1/auth/me")),
              "TENANT_SUSPENDED");
    clock.advance(5s);
    EXPECT_TRUE(std::holds_alternative<http::Response>(elsewhere.admin(request)));
    ASSERT_EQ(ask("POST", path + "/resume").status, 200) << "the operator is not concerned";
    EXPECT_EQ(statuses(), (std::array{200, 200, 201, 401}));
}

// It says nothing about the token: whoever came with it is to come again.
TEST_F(CredentialsTest, ADatabaseThatCanNotBeReadIsNobodysFault) {
    const std::string token = bearer();
    ASSERT_TRUE(
        (*store::SqliteDatabase::open(folder + "/db"))->run_script("DROP TABLE access_tokens"));
    EXPECT_EQ(with({{"Authorization", token}}), 503);
}

TEST_F(CredentialsTest, ACertificateStandsForItsAccountUntilItIsDeleted) {
    const auto made = certificate();
    EXPECT_TRUE(made.record.prefix.starts_with("x509:"));
    EXPECT_EQ(made.record.expires_at, clock.now() + 1h);
    const std::string leaf = pki::split_chain(made.certificate)->front();
    const auto me = expect<wire::Me>(200, ask_as({leaf}, "GET", "/api/v1/auth/me"));
    EXPECT_EQ(me.actor, anna.actor());
    const std::string self = "/api/v1/users/" + anna.id;
    EXPECT_EQ(ask_as({leaf}, "PATCH", self, R"({"disabled":false})").status, 200);
    const http::Headers foreign{{"Host", "controller.test:8443"}, {"Origin", "https://evil.test"}};
    EXPECT_EQ(ask_as({.certificate = leaf, .headers = foreign}, "PATCH", self, "{}").status, 403)
        << "a browser shows it whoever wrote the page";
    EXPECT_EQ(ask_as({leaf}, "GET", "/api/v1/node/map").status, 403) << "it is no node's";
    EXPECT_EQ(with({{"Authorization", "Bearer " + leaf}}), 401) << "it is no secret";
    EXPECT_EQ(with({{"Authorization", "Bearer x509:" + leaf}}), 401);
    clock.advance(1h);
    EXPECT_EQ(ask_as({leaf}, "GET", "/api/v1/auth/me").status, 401);
    clock.advance(-1h);
    EXPECT_EQ(ask("DELETE", "/api/v1/access-tokens/" + made.record.id).status, 204);
    EXPECT_EQ(ask_as({leaf}, "GET", "/api/v1/auth/me").status, 401);
}

TEST_F(CredentialsTest, ACertificateOfOurCaThatWeDoNotKnowIsNobodys) {
    const auto request = *pki::Csr::parse(*pki::create_csr(*pki::TlsKey::generate()));
    const auto issued = authority.issue_account(request, {tenant, anna.id}, {clock.now(), 1h});
    EXPECT_EQ(
        ask_as({pki::split_chain(issued->chain_pem)->front()}, "GET", "/api/v1/auth/me").status,
        401);
    EXPECT_FALSE(authority.issue_account(request, {"acme", anna.id}, {clock.now(), 1h}));
    EXPECT_FALSE(authority.issue_account(request, {tenant, "anna"}, {clock.now(), 1h}));
    const std::string bearer_token = bearer();
    for (const char* body : {R"({"name":"x","csr":"none"})", R"({"name":"","csr":"none"})"})
        EXPECT_EQ(with({{"Authorization", bearer_token}}, "POST", "/api/v1/certificates", body),
                  400);
}

TEST_F(CredentialsTest, LogoutEndsTheTokenThatCame) {
    const std::string token = bearer();
    EXPECT_EQ(with({{"Authorization", token}}, "POST", "/api/v1/auth/logout"), 204);
    EXPECT_EQ(with({{"Authorization", token}}), 401);
}

TEST_F(CredentialsTest, WhenATokenWasUsedIsWrittenNowAndThen) {
    const std::string token = bearer();
    const auto used = [&] {
        return store->accounts().by_token(hex(sha256(as_bytes(token.substr(7)))))->last_used_at;
    };
    const auto commits = store->commits();
    EXPECT_EQ(with({{"Authorization", token}}), 200);
    EXPECT_EQ(with({{"Authorization", token}}), 200);
    EXPECT_EQ(store->commits(), commits);
    admins.flush_used();
    EXPECT_EQ(used(), clock.now());
}

TEST_F(CredentialsTest, OneThatAsksForATokenOnTheSocketMustBeAnOperator) {
    const auto robot = store->accounts().create(
        {}, {tenant, model::AccountKind::Service, "robot", TenantRole::Owner});
    const std::string body = fmt::format(R"({{"name":"x","serviceAccountId":"{}"}})", robot->id);
    const Caller reader{.local = http::LocalPeer{4711, 0, 1}};
    EXPECT_EQ(ask_as(reader, "POST", "/api/v1/access-tokens", body).status, 403);
    const auto made =
        expect<wire::AccessTokenCreated>(201, ask("POST", "/api/v1/access-tokens", body));
    EXPECT_TRUE(made.token.starts_with("cvlan_sa_"));
    EXPECT_EQ(with({{"Authorization", "Bearer " + made.token}}), 200);
}

TEST_F(CredentialsTest, AMembersTokensAdmitNodesAlone) {
    const std::string network = make_network(tenant);
    const std::string token = bearer();
    ASSERT_TRUE(store->accounts().change({}, {tenant, anna.id}, {TenantRole::Member, {}}));
    const auto make = [&](const std::string& role) {
        return with({{"Authorization", token}}, "POST", "/api/v1/tokens",
                    fmt::format(R"({{"tenantId":"{}","networkId":"{}","role":"{}"}})", tenant,
                                network, role));
    };
    EXPECT_EQ(make("NODE"), 201);
    EXPECT_EQ(make("VROUTER"), 403);
    EXPECT_EQ(make("RELAY"), 403);
}

TEST_F(CredentialsTest, TheBootstrapsLinkMakesTheFirstOperator) {
    ASSERT_TRUE(store->accounts().remove({}, {tenant, anna.id}) || store->delete_tenant(tenant));
    const auto link = make_link(context, 1h);
    ASSERT_TRUE(*store->accounts().make_bootstrap(link.link));
    const std::string secret = link.shown.link.substr(link.shown.link.find('#') + 1);
    const auto use = [&](const std::string& password, const std::optional<std::string>& email) {
        return ask_as({}, "POST", "/api/v1/auth/links",
                      encode(wire::LinkUse{secret, password, email}));
    };
    EXPECT_EQ(use(kPassword, std::nullopt).status, 400);
    EXPECT_EQ(use("too short", "root@example.org").status, 400);
    const auto made = expect<wire::Account>(200, use(kPassword, "Root@example.org"));
    EXPECT_EQ(made.role, wire::TenantRole::Owner);
    EXPECT_FALSE(made.tenant_id);
    EXPECT_EQ(use(kPassword, "root@example.org").status, 410);
    const auto answer = ask_as({}, "POST", "/api/v1/auth/login",
                               encode(wire::Login{{}, "root@example.org", kPassword}));
    EXPECT_EQ(answer.status, 201) << answer.body;
}

TEST_F(CredentialsTest, NoSecretIsInTheDatabase) {
    const Browser by = browser();
    const std::string token = bearer().substr(7);
    store.reset();
    for (const char* file : {"/db", "/db-wal"}) {
        std::ifstream stream(folder + file);
        const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
        for (const std::string& secret : {by.cookie.substr(13), token, std::string(kPassword)})
            EXPECT_EQ(bytes.find(secret), std::string::npos) << file;
    }
}

}  // namespace
}  // namespace cvlan::api
