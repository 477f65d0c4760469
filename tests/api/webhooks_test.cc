// SPDX-License-Identifier: Apache-2.0
#include "api/webhooks.h"

#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct WebhooksApiTest : ApiTest {
    std::string tenant = make_tenant();
    http::Response create(const std::string& url, const std::string& more = "") {
        return ask(
            "POST", "/api/v1/webhooks",
            fmt::format(R"({{"tenantId":"{}","name":"hook","url":"{}"{}}})", tenant, url, more));
    }
};

TEST_F(WebhooksApiTest, IsMadeWithASecretThatIsShownOnce) {
    const auto made = expect<wire::WebhookCreated>(
        201, create("https://h.example/x", R"(,"events":["NODE_ENROLLED"])"));
    EXPECT_TRUE(made.secret.starts_with("cvlan_whs_"));
    const auto row = *store->webhooks().webhook({}, made.webhook.id);
    EXPECT_EQ(webhook_secret(controller_key, row).reveal(), made.secret);
    EXPECT_NE(webhook_secret(pki::SigningKey::generate(), row).reveal(), made.secret);
    const std::string path = "/api/v1/webhooks/" + made.webhook.id;
    EXPECT_EQ(ask("GET", path).body.find("cvlan_whs_"), std::string::npos);
    EXPECT_FALSE(expect<wire::Webhook>(200, ask("PATCH", path, R"({"enabled":false})")).enabled);
    EXPECT_EQ(expect<wire::WebhookList>(200, ask("GET", "/api/v1/webhooks?tenant=" + tenant))
                  .webhooks.size(),
              1u);
    EXPECT_EQ(ask("DELETE", path).status, 204);
    EXPECT_EQ(ask("GET", path).status, 404);
}

TEST_F(WebhooksApiTest, IsChangedWithinTheSameBounds) {
    const auto made = expect<wire::WebhookCreated>(201, create("https://h.example/x"));
    const std::string path = "/api/v1/webhooks/" + made.webhook.id;
    const auto changed = expect<wire::Webhook>(
        200, ask("PATCH", path, R"({"url":"https://h.example/y","events":["NODE_ENROLLED"]})"));
    EXPECT_EQ(changed.url, "https://h.example/y");
    EXPECT_EQ(changed.events, std::vector<std::string>{"NODE_ENROLLED"});
    EXPECT_TRUE(changed.enabled);
    EXPECT_TRUE(expect<wire::Webhook>(200, ask("PATCH", path, R"({"events":[]})")).events.empty());
    EXPECT_EQ(ask("PATCH", path, R"({"url":"https://10.0.0.1/"})").status, 400);
    EXPECT_EQ(ask("PATCH", path, R"({"events":["NONSENSE"]})").status, 400);
    EXPECT_EQ(expect<wire::Webhook>(200, ask("GET", path)).url, "https://h.example/y");
}

TEST_F(WebhooksApiTest, ASecretThatGotAwayIsNotTheNextOne) {
    const auto made = expect<wire::WebhookCreated>(201, create("https://h.example/x"));
    const auto next = expect<wire::WebhookCreated>(
        200, ask("POST", "/api/v1/webhooks/" + made.webhook.id + "/rotate-secret"));
    EXPECT_TRUE(next.secret.starts_with("cvlan_whs_"));
    EXPECT_NE(next.secret, made.secret);
    const auto row = *store->webhooks().webhook({}, made.webhook.id);
    const auto signing = [&](WallTime now) {
        std::vector<std::string> texts;
        for (const auto& secret : webhook_secrets(controller_key, row, now))
            texts.push_back(secret.reveal());
        return texts;
    };
    EXPECT_EQ(signing(clock.now()), (std::vector<std::string>{next.secret, made.secret}));
    EXPECT_EQ(signing(clock.now() + store::Webhooks::kSecretsOverlap),
              std::vector<std::string>{next.secret})
        << "no longer the one that got away";
}

TEST_F(WebhooksApiTest, LeadsToNoPlaceThatMeansSomethingOnlyHere) {
    for (const char* url : {"http://h/", "https://127.0.0.1/", "https://[::1]/",
                            "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data",
                            "https://[fd00::1]:1/", "https://[::ffff:10.0.0.1]/"})
        EXPECT_EQ(create(url).status, 400) << url;
    EXPECT_EQ(create("https://h/", R"(,"events":["NONSENSE"])").status, 400);
    context.settings.webhook_prefixes = {*Prefix::parse("10.0.0.0/24")};
    EXPECT_EQ(create("https://10.0.1.1/").status, 400);
    EXPECT_EQ(create("https://10.0.0.1/").status, 201);
}

}  // namespace
}  // namespace cvlan::api
