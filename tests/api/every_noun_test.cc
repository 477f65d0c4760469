// SPDX-License-Identifier: Apache-2.0
// What has a way of its own into the store (accounts, their tokens, keys, webhooks, jobs) is
// listed, tried, matched and taken away like any other noun.
#include "store/jobs.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct Noun {
    std::string path, fields;  // with NAME, and perhaps KEY, to be filled in
    std::vector<std::string> names{"a", "b", "c"};
};

struct EveryNounTest : ApiTest {
    std::string tenant = make_tenant();
    std::string robot =
        id_in(ask("POST", "/api/v1/service-accounts",
                  fmt::format(R"({{"tenantId":"{}","name":"robot","role":"MEMBER"}})", tenant)));

    std::vector<Noun> nouns() {
        const std::string in = fmt::format(R"("tenantId":"{}",)", tenant);
        return {
            {"/api/v1/users",
             "{" + in + R"("email":"NAME","role":"ADMIN"})",
             {"a@x.org", "b@x.org", "c@x.org"}},
            {"/api/v1/service-accounts", "{" + in + R"("name":"NAME","role":"ADMIN"})"},
            {"/api/v1/access-tokens", R"({"name":"NAME","serviceAccountId":")" + robot + "\"}"},
            {"/api/v1/webhooks", "{" + in + R"("name":"NAME","url":"https://h.test/"})"},
            {"/api/v1/token-keys", "{" + in + R"("name":"NAME","publicKey":"KEY"})"},
        };
    }
    static std::string id_in(const http::Response& made) {
        EXPECT_EQ(made.status, 201) << made.body;
        return made.body.substr(made.body.find("\"id\":\"") + 6, 36);
    }
    http::Response create(const Noun& noun, const std::string& name, const char* query = "") {
        std::string body = noun.fields;
        body.replace(body.find("NAME"), 4, name);
        if (const size_t at = body.find("KEY"); at != std::string::npos)
            body.replace(at, 3, base64(pki::SigningKey::generate().public_key().bytes()));
        return ask("POST", noun.path + query, body);
    }
    // The names in a list, over all of its pages.
    std::vector<std::string> names_in(const std::string& path) {
        std::vector<std::string> names;
        std::string token;
        do {
            const auto page = ask("GET", path + (token.empty() ? "" : "&pageToken=" + token));
            EXPECT_EQ(page.status, 200) << page.body;
            for (size_t at = 0; (at = page.body.find("\"name\":\"", at)) != std::string::npos;) {
                at += 8;
                names.push_back(page.body.substr(at, page.body.find('"', at) - at));
            }
            const size_t next = page.body.find("\"nextPageToken\":\"") + 17;
            token = page.body.substr(next, page.body.find('"', next) - next);
        } while (!token.empty() && names.size() < 100);
        return names;
    }
};

TEST_F(EveryNounTest, IsListedInTheOrderThatIsAskedFor) {
    for (const Noun& noun : nouns()) {
        SCOPED_TRACE(noun.path);
        for (const size_t i : {1, 0, 2}) {
            clock.advance(std::chrono::seconds(1));
            id_in(create(noun, noun.names[i]));
        }
        std::vector<std::string> order = noun.names;
        const bool has_robot = noun.path == "/api/v1/service-accounts";
        if (has_robot) order.emplace_back("robot");
        const std::string all = noun.path + "?pageSize=1&orderBy=";
        EXPECT_EQ(names_in(all + "name"), order);
        std::reverse(order.begin(), order.end());
        EXPECT_EQ(names_in(all + "name%20desc"), order);
        EXPECT_EQ(names_in(all + "createdAt%20desc").front(), noun.names[2]);
        EXPECT_EQ(ask("GET", all + "colour").status, 400);
    }
}

TEST_F(EveryNounTest, IsFilteredByItsOwnFields) {
    for (const Noun& noun : nouns()) id_in(create(noun, noun.names[0]));
    EXPECT_EQ(names_in("/api/v1/service-accounts?role=MEMBER"), std::vector<std::string>{"robot"});
    EXPECT_EQ(names_in("/api/v1/users?role=ADMIN"), std::vector<std::string>{"a@x.org"});
    EXPECT_TRUE(names_in("/api/v1/users?disabled=true").empty());
    EXPECT_EQ(names_in("/api/v1/users?disabled=false").size(), 1U);
    EXPECT_TRUE(names_in("/api/v1/webhooks?enabled=false").empty());
    EXPECT_EQ(names_in("/api/v1/webhooks?enabled=true").size(), 1U);
    EXPECT_EQ(ask("GET", "/api/v1/users?role=NODE").status, 400);
    EXPECT_EQ(ask("GET", "/api/v1/tokens?role=OWNER").status, 400);
}

TEST_F(EveryNounTest, IsTriedAndNotMade) {
    const int64_t before = store->tenant(tenant)->revision;
    for (const Noun& noun : nouns()) {
        SCOPED_TRACE(noun.path);
        const auto tried = create(noun, noun.names[0], "?validateOnly=true");
        EXPECT_EQ(tried.status, 201) << tried.body;
        for (const char* secret : {R"("token":"c)", R"("secret":"c)", "/accept#"})
            EXPECT_EQ(tried.body.find(secret), std::string::npos) << tried.body;
        EXPECT_TRUE(names_in(noun.path + "?name=" + noun.names[0]).empty());
        EXPECT_GE(create(noun, "", "?validateOnly=true").status, 400);
    }
    EXPECT_EQ(store->tenant(tenant)->revision, before);
}

TEST_F(EveryNounTest, GoesOnlyAsItWasSeen) {
    for (const Noun& noun : nouns()) {
        SCOPED_TRACE(noun.path);
        const auto made = create(noun, noun.names[0]);
        const std::string path = noun.path + "/" + id_in(made);
        const std::string etag = etag_of(ask("GET", path));
        EXPECT_NE(etag, "");
        EXPECT_EQ(etag_of(made), etag);
        const auto stale = ask_if("\"123\"", "DELETE", path);
        EXPECT_EQ(stale.status, 412);
        EXPECT_EQ(code_of(stale), "REVISION_MISMATCH");
        EXPECT_EQ(ask_if(etag, "DELETE", path + "?validateOnly=true").status, 204);
        EXPECT_EQ(etag_of(ask("GET", path)), etag);
        EXPECT_EQ(ask_if(etag, "DELETE", path).status, 204);
        EXPECT_EQ(ask("GET", path).status, 404);
    }
}

TEST_F(EveryNounTest, IsChangedOnlyAsItWasSeen) {
    struct {
        size_t noun;
        const char *method, *below, *body;
    } const cases[] = {{0, "PATCH", "", R"({"disabled":true})"},
                       {0, "POST", "/link", ""},
                       {1, "PATCH", "", R"({"role":"MEMBER"})"},
                       {3, "PATCH", "", R"({"enabled":false})"},
                       {3, "POST", "/rotate-secret", ""}};
    size_t made = 0;
    for (const auto& it : cases) {
        const Noun noun = nouns()[it.noun];
        SCOPED_TRACE(noun.path + it.below);
        const std::string path = noun.path + "/" + id_in(create(noun, noun.names[made++ % 3]));
        const std::string etag = etag_of(ask("GET", path));
        const auto tried = ask_if(etag, it.method, path + it.below + "?validateOnly=true", it.body);
        EXPECT_LT(tried.status, 300) << tried.body;
        EXPECT_EQ(tried.body.find(R"("secret":"c)"), std::string::npos);
        EXPECT_EQ(tried.body.find("/accept#"), std::string::npos);
        EXPECT_EQ(etag_of(ask("GET", path)), etag);
        const auto changed = ask_if(etag, it.method, path + it.below, it.body);
        EXPECT_LT(changed.status, 300) << changed.body;
        EXPECT_NE(etag_of(changed), etag);
        EXPECT_EQ(etag_of(ask("GET", path)), etag_of(changed));
        EXPECT_EQ(ask_if(etag, it.method, path + it.below, it.body).status, 412);
    }
}

TEST_F(EveryNounTest, AJobIsReadAndRunLikeAnyOtherObject) {
    ASSERT_TRUE(store->jobs().ensure({"sweep", "audit", "tokens"}));
    EXPECT_EQ(names_in("/api/v1/jobs?pageSize=1&orderBy=name%20desc"),
              (std::vector<std::string>{"tokens", "sweep", "audit"}));
    const auto found = expect<wire::JobList>(200, ask("GET", "/api/v1/jobs?name=sweep")).jobs;
    ASSERT_EQ(found.size(), 1U);
    const std::string path = "/api/v1/jobs/" + found[0].id;
    const auto shown = ask("GET", path);
    EXPECT_EQ(expect<wire::Job>(200, shown).name, "sweep");
    clock.advance(std::chrono::hours(1));
    EXPECT_EQ(ask("POST", path + "/run?validateOnly=true").status, 202);
    EXPECT_EQ(ask("GET", path).body, shown.body);
    EXPECT_EQ(ask_if("\"99\"", "POST", path + "/run").status, 412);
    EXPECT_EQ(ask_if(etag_of(shown), "POST", path + "/run").status, 202);
    EXPECT_EQ(expect<wire::Job>(200, ask("GET", path)).next_run_at, clock.now());
    EXPECT_EQ(ask_if(etag_of(shown), "POST", path + "/run").status, 412);
}

}  // namespace
}  // namespace cvlan::api
