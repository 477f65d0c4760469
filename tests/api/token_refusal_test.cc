// SPDX-License-Identifier: Apache-2.0
// F21: however a registration token is wrong, who shows it hears no more of it than its kind, and
// learns nothing from the work that it made: the signatures that were checked and the calls of the
// store are counted, because a clock would lie.
#include <dlfcn.h>

#include <atomic>
#include <map>
#include <set>

#include "pki/token.h"
#include "tests/api/fixture.h"
#include "tests/support/failing_store.h"

namespace {
std::atomic<int> signatures = 0;  // the workers count too
std::atomic<int> requests = 0;

template <class Function>
Function* original(Function*, const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
}  // namespace

// In front of OpenSSL's own.
extern "C" int EVP_DigestVerify(EVP_MD_CTX* context, const unsigned char* signature, size_t size,
                                const unsigned char* data, size_t data_size) {
    ++signatures;
    static auto* const own = original(EVP_DigestVerify, "EVP_DigestVerify");
    return own(context, signature, size, data, data_size);
}
extern "C" int X509_REQ_verify(X509_REQ* request, EVP_PKEY* key) {
    ++requests;
    static auto* const own = original(X509_REQ_verify, "X509_REQ_verify");
    return own(request, key);
}

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct Work {
    int signatures = 0;
    int requests = 0;
    int store_calls = 0;
    bool operator==(const Work&) const = default;
};
void PrintTo(const Work& work, std::ostream* out) {
    *out << work.signatures << " signatures, " << work.requests << " requests, " << work.store_calls
         << " calls of the store";
}

struct TokenRefusalTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);
    pki::SigningKey offline_key = pki::SigningKey::generate();
    test::FailingStore counted{*store};
    Context watched{
        counted,   maps,      shared_authority, controller_key, keys,    auth,  admins,
        passwords, enrolling, reporting,        polls,          limiter, clock, context.settings};

    struct Outcome {
        std::string name;
        Work work;
        int status = 0;
        std::string body;
    };
    int asked = 0;

    std::string fresh() { return make_token(tenant, network).token; }
    static std::string signed_by(const pki::SigningKey& key, model::TokenClaims claims) {
        claims.kid = key.kid();
        const std::string text = model::encode_claims(claims);
        return "cvlan_reg_" + base64url(as_bytes(text)) + "." + base64url(key.sign(as_bytes(text)));
    }
    std::string offline(std::chrono::hours life) {
        auto claims = pki::parse_token(fresh())->claims;
        claims.id = new_uuid(unix_ms(clock.now()));
        claims.expires_at = clock.now() + life;
        return signed_by(offline_key, claims);
    }
    std::string flipped(std::string token, size_t from_end) {
        char& at = token.at(token.size() - 1 - from_end);
        at = at == 'A' ? 'B' : 'A';
        return token;
    }

    // Each from an address of its own, so that none is held back.
    http::Response show(const std::string& path, const std::string& body,
                        const std::string& certificate, const std::string& address = "") {
        http::Request request;
        request.method = "POST";
        request.path = path;
        request.body = body;
        request.request_id = "request-1";
        request.peer = *Endpoint::parse(fmt::format(
            "{}:40000", address.empty() ? fmt::format("198.51.100.{}", ++asked) : address));
        request.client_certificate = certificate_of(certificate);
        request.loop = &loop;
        std::optional<http::Response> answer;
        const auto exchange = std::make_shared<http::Exchange>(
            http::Exchange{[&](http::Response response) { answer = std::move(response); }});
        handle(watched, {Role::Registration, Role::Session}, std::move(request),
               http::Reply(exchange));
        for (int tries = 0; !answer && tries < 100; ++tries)
            loop.run_once(std::chrono::milliseconds(100));
        exchange->answer = nullptr;
        return answer.value_or(http::Response{});
    }
    Outcome outcome_of(const std::string& name, const std::string& token) {
        const std::string body = encode(enrol_request(new_node(), token, ""));
        const Work before{signatures, requests, counted.calls};
        const auto answer = show("/api/v1/enrol", body, "");
        return {name, work_since(before), answer.status, answer.body};
    }
    Work work_since(const Work& before) const {
        return {signatures - before.signatures, requests - before.requests,
                counted.calls - before.store_calls};
    }
    void expect_alike(const std::vector<Outcome>& outcomes, const std::map<int, int>& of_status) {
        std::map<int, int> statuses;
        std::map<int, std::string> bodies;
        for (const Outcome& outcome : outcomes) {
            ++statuses[outcome.status];
            EXPECT_EQ(outcome.work, outcomes.front().work) << outcome.name;
            EXPECT_EQ(outcome.body, bodies.try_emplace(outcome.status, outcome.body).first->second)
                << outcome.name;
        }
        EXPECT_EQ(statuses, of_status);
        EXPECT_GE(outcomes.front().work.signatures, 1);
    }
    void add_offline_key() {
        EXPECT_EQ(ask("POST", "/api/v1/token-keys",
                      fmt::format(R"({{"tenantId":"{}","name":"field","publicKey":"{}"}})", tenant,
                                  offline_key.public_key().to_base64()))
                      .status,
                  201);
    }
    std::set<std::string> audited(const std::string& of_tenant) {
        watched.refusals->flush();
        std::set<std::string> outcomes;
        const auto page = store->audit({.tenant_id = of_tenant, .page_size = 1000});
        for (const auto& entry : page->items)
            if (entry.action == "POST /api/v1/enrol") outcomes.insert(entry.outcome);
        return outcomes;
    }
};

TEST_F(TokenRefusalTest, EveryRefusalOfAKindIsTheSameAnswerAndAllAreTheSameWork) {
    add_offline_key();
    const auto spent = fresh(), spent_offline = offline(std::chrono::hours(40));
    for (const auto& token : {spent, spent_offline})
        EXPECT_EQ(outcome_of("good", token).status, 201);
    const auto revoked = make_token(tenant, network), deleted = make_token(tenant, network);
    EXPECT_EQ(ask("POST", "/api/v1/tokens/" + revoked.id + "/revoke").status, 200);
    EXPECT_EQ(ask("DELETE", "/api/v1/tokens/" + deleted.id).status, 204);
    const auto late = fresh(), late_offline = offline(std::chrono::hours(1));
    auto claims = pki::parse_token(fresh())->claims;
    const auto stranger = pki::SigningKey::generate();
    auto of_nobody = claims, of_a_path = claims;
    of_nobody.tenant_id = new_uuid(1);
    of_a_path.tenant_id = "../../../../etc/passwd-0123456789ab";
    auto of_other = pki::parse_token(fresh())->claims;
    of_other.tenant_id = make_tenant("other");

    std::vector<Outcome> outcomes{
        outcome_of("spent", spent),
        outcome_of("spent, and made offline", spent_offline),
        outcome_of("revoked", revoked.token),
        outcome_of("deleted", deleted.token),
        outcome_of("a year too far ahead", offline(std::chrono::hours(24 * 400))),
        outcome_of("no token", "nonsense"),
        outcome_of("empty", ""),
        outcome_of("truncated", fresh().substr(0, 200)),
        outcome_of("a bit of the signature", flipped(fresh(), 40)),
        outcome_of("a bit of the claims", flipped(fresh(), 150)),
        outcome_of("of no tenant", signed_by(stranger, of_nobody)),
        outcome_of("of a path", signed_by(stranger, of_a_path)),
        outcome_of("of no key", signed_by(stranger, claims)),
        outcome_of("of another tenant", signed_by((*keys.of(tenant))->token, of_other)),
    };
    clock.advance(std::chrono::hours(25));
    outcomes.push_back(outcome_of("expired", late));
    outcomes.push_back(outcome_of("expired, and made offline", late_offline));
    expect_alike(outcomes, {{401, 11}, {410, 5}});
    EXPECT_EQ(code_of({.status = 401, .body = outcomes[5].body}), "TOKEN_INVALID");
    EXPECT_EQ(code_of({.status = 410, .body = outcomes[0].body}), "TOKEN_GONE");

    // Whose it was reads which it was; nobody reads a token.
    EXPECT_EQ(audited(tenant), (std::set<std::string>{"TOKEN_SPENT", "TOKEN_REVOKED",
                                                      "TOKEN_EXPIRED", "TOKEN_INVALID"}));
    EXPECT_EQ(audited(""), std::set<std::string>{"TOKEN_INVALID"});
    const auto page = store->audit({.tenant_id = tenant, .page_size = 1000});
    for (const auto& entry : page->items)
        for (const auto& token : {spent, revoked.token, late})
            EXPECT_EQ(fmt::format("{}{}{}", entry.actor, entry.before, entry.after)
                          .find(token.substr(token.size() - 60)),
                      std::string::npos);
}

TEST_F(TokenRefusalTest, AJoinTellsNoMoreThanAnEnrolment) {
    const auto node = enrolled(fresh(), "web");
    const auto other = make_tenant("other");
    const auto foreign = make_token(other, make_network(other)).token;
    const auto spent = fresh();
    enrolled(spent, "b");
    const auto shown = [&](const std::string& name, const std::string& token) {
        const wire::JoinRequest join{token, base64(random_bytes(32)), 51821, {}};
        const Work before{signatures, requests, counted.calls};
        const auto answer =
            show("/api/v1/node/memberships", encode(join), node.enrolment.certificate);
        return Outcome{name, work_since(before), answer.status, answer.body};
    };
    (void)shown("known from now on", "nonsense");
    expect_alike({shown("of another tenant", foreign), shown("spent", spent),
                  shown("no token", "nonsense"), shown("flipped", flipped(fresh(), 40))},
                 {{401, 3}, {410, 1}});
}

// Held back, a guess costs no transaction; and still nobody finds out which tenants there are.
TEST_F(TokenRefusalTest, GuessesThatAreHeldBackAreAlikeToo) {
    const auto claims = pki::parse_token(fresh())->claims;
    const auto stranger = pki::SigningKey::generate();
    auto of_nobody = claims;
    of_nobody.tenant_id = new_uuid(1);
    const auto guess = [&](const std::string& token) {
        const std::string body = encode(enrol_request(new_node(), token, ""));
        const Work before{signatures, requests, counted.calls};
        const auto answer = show("/api/v1/enrol", body, "", "203.0.113.9");
        return Outcome{"", work_since(before), answer.status, answer.body};
    };
    for (int i = 0; i < 5; ++i) EXPECT_EQ(guess("nonsense").status, 401);
    const auto commits = store->commits();
    expect_alike({guess(flipped(fresh(), 40)), guess(signed_by(stranger, claims)),
                  guess(signed_by(stranger, of_nobody))},
                 {{429, 3}});
    EXPECT_EQ(store->commits(), commits + 1);  // of fresh()
}

}  // namespace
}  // namespace cvlan::api
