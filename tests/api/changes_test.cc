// SPDX-License-Identifier: Apache-2.0
// What all nouns have in common: ETag and If-Match, validateOnly, orderBy; and the nouns alike.
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct ChangesTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);

    std::string in_tenant(const std::string& fields) {
        return fmt::format(R"({{"tenantId":"{}",{}}})", tenant, fields);
    }
    std::string make(const std::string& noun, const std::string& fields) {
        const auto made = ask("POST", "/api/v1/" + noun, in_tenant(fields));
        EXPECT_EQ(made.status, 201) << made.body;
        return made.body.substr(made.body.find("\"id\":\"") + 6, 36);
    }
};

TEST_F(ChangesTest, EveryObjectHasAnETagThatIsGoodUntilItsNextChange) {
    const auto node = enrolled(make_token(tenant, network).token, "a").enrolment.node_id;
    struct {
        std::string path, method, body;
    } const cases[] = {
        {"/api/v1/tenants/" + tenant, "PATCH", R"({"description":"x"})"},
        {"/api/v1/networks/" + network, "PATCH", R"({"name":"x"})"},
        {"/api/v1/nodes/" + node, "PATCH", R"({"name":"x"})"},
        {"/api/v1/groups/" + make("groups", R"("name":"g")"), "PUT", R"({"name":"x"})"},
        {"/api/v1/tags/" + make("tags", R"("name":"t")"), "PUT", R"({"name":"x"})"},
        {"/api/v1/policies/" + make("policies", R"("name":"p","source":"a")"), "PUT",
         R"({"name":"x","source":"b"})"},
        {"/api/v1/settings?tenant=" + tenant, "PUT", R"({"deviceApproval":true})"},
    };
    for (const auto& it : cases) {
        SCOPED_TRACE(it.path);
        const std::string etag = etag_of(ask("GET", it.path));
        ASSERT_TRUE(etag.starts_with("\"")) << etag;
        const auto changed = ask_if(etag, it.method, it.path, it.body);
        ASSERT_EQ(changed.status, 200) << changed.body;
        EXPECT_NE(etag_of(changed), etag);
        EXPECT_EQ(etag_of(changed), etag_of(ask("GET", it.path)));
        const auto stale = ask_if(etag, it.method, it.path, it.body);
        EXPECT_EQ(stale.status, 412);
        EXPECT_EQ(code_of(stale), "REVISION_MISMATCH");
    }
    EXPECT_EQ(ask_if("\"1\"", "DELETE", "/api/v1/nodes/" + node).status, 412);
    EXPECT_EQ(ask_if("*", "DELETE", "/api/v1/nodes/" + node).status, 204);
}

TEST_F(ChangesTest, WhatIsNoETagOfOursMatchesNothing) {
    for (const char* bad : {"1", "\"\"", "\"x\"", "W/\"1\"", "\"1\", \"2\"", "\"-1\"", "\"1"})
        EXPECT_EQ(ask_if(bad, "PATCH", "/api/v1/networks/" + network, R"({"name":"x"})").status,
                  412)
            << bad;
}

TEST_F(ChangesTest, PoliciesAndSettingsAreNotChangedBlindly) {
    const std::string policy = "/api/v1/policies/" + make("policies", R"("name":"p","source":"a")");
    const std::string settings = "/api/v1/settings?tenant=" + tenant;
    EXPECT_EQ(ask("PUT", policy, R"({"name":"p","source":"b"})").status, 428);
    EXPECT_EQ(ask("DELETE", policy).status, 428);
    EXPECT_EQ(code_of(ask("PUT", settings, "{}")), "PRECONDITION_REQUIRED");
    EXPECT_EQ(ask_if(etag_of(ask("GET", policy)), "DELETE", policy).status, 204);
    EXPECT_EQ(ask("GET", "/api/v1/settings").status, 400) << "above tenants one must be named";
}

TEST_F(ChangesTest, ValidateOnlyAnswersAndChangesNothing) {
    const auto revision = [&] { return store->tenant(tenant)->revision; };
    const int64_t before = revision();
    const std::string body = in_tenant(R"("name":"lab","ipv4":"10.7.0.0/24")");
    const auto tried =
        expect<wire::Network>(201, ask("POST", "/api/v1/networks?validateOnly=true", body));
    EXPECT_EQ(tried.ipv4, "10.7.0.0/24");
    EXPECT_EQ(ask("GET", "/api/v1/networks/" + tried.id).status, 404);
    const std::string overlap = in_tenant(R"("name":"lab","ipv4":"10.100.0.0/16")");
    EXPECT_EQ(ask("POST", "/api/v1/networks?validateOnly=true", overlap).status, 409);
    const auto token = expect<wire::TokenCreated>(
        201, ask("POST", "/api/v1/tokens?validateOnly=true",
                 in_tenant(fmt::format(R"("networkId":"{}")", network))));
    EXPECT_EQ(token.token, "") << "one that is not kept is worth nothing to anybody";
    const std::string path = "/api/v1/networks/" + network;
    EXPECT_EQ(ask("DELETE", path + "?validateOnly=true").status, 204);
    EXPECT_EQ(ask("DELETE", path + "?validateOnly=yes").status, 400);
    EXPECT_EQ(ask("POST", "/api/v1/tenants?validateOnly=true", R"({"name":"new"})").status, 201);
    EXPECT_TRUE(
        expect<wire::TenantList>(200, ask("GET", "/api/v1/tenants?name=new")).tenants.empty());
    size_t folders = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder + "/keys"))
        ++folders;
    EXPECT_EQ(folders, 1u) << "no keys of a tenant that was only tried";
    EXPECT_EQ(ask("DELETE", "/api/v1/tenants/" + tenant + "?validateOnly=true").status, 409);
    EXPECT_EQ(revision(), before);
}

TEST_F(ChangesTest, ListsTakeAnOrder) {
    clock.advance(std::chrono::milliseconds(1));
    make_network(tenant, "10.1.0.0/24", "alpha");
    const auto first = [&](const std::string& order) {
        const auto list = expect<wire::NetworkList>(
            200, ask("GET", "/api/v1/networks?pageSize=1&orderBy=" + order));
        return list.networks.empty() ? "" : list.networks[0].name;
    };
    EXPECT_EQ(first("createdAt"), "office");
    EXPECT_EQ(first("createdAt%20desc"), "alpha");
    EXPECT_EQ(first("name"), "alpha");
    EXPECT_EQ(first("name+desc"), "office");
    EXPECT_EQ(ask("GET", "/api/v1/networks?orderBy=mtu").status, 400);
    EXPECT_EQ(ask("GET", "/api/v1/tokens?orderBy=name").status, 400);
    EXPECT_EQ(ask("GET", "/api/v1/nodes?state=ASLEEP").status, 400);
}

TEST_F(ChangesTest, TheNounsAlikeAreMadeShownReplacedAndDeleted) {
    const std::string region = make("regions", R"("name":"eu")");
    const struct {
        std::string noun, fields;
    } cases[] = {
        {"tags", R"("description":"x")"},
        {"groups", R"("description":"x")"},
        {"relays", fmt::format(R"("regionId":"{}","endpoints":["192.0.2.1:3478"])", region)},
        {"vrouters", fmt::format(R"("regionId":"{}","networkIds":["{}"])", region, network)},
    };
    for (const auto& it : cases) {
        SCOPED_TRACE(it.noun);
        const std::string path =
            "/api/v1/" + it.noun + "/" + make(it.noun, R"("name":"n",)" + it.fields);
        const auto shown = ask("GET", path);
        EXPECT_NE(shown.body.find(it.fields), std::string::npos) << shown.body;
        const auto list = ask("GET", "/api/v1/" + it.noun + "?name=n&tenant=" + tenant);
        EXPECT_NE(list.body.find(it.fields), std::string::npos) << list.body;
        // What is left out of a replacement is gone.
        EXPECT_EQ(ask("PUT", path, R"({"name":"m"})").body.find(it.fields), std::string::npos);
        EXPECT_EQ(ask("PUT", path, R"({"name":"m","bogus":1})").status, 400);
        EXPECT_EQ(
            ask("PUT", path, fmt::format(R"({{"name":"m","tenantId":"{}"}})", new_uuid(1))).status,
            400)
            << "an object stays in its tenant";
        EXPECT_EQ(ask("DELETE", path).status, 204);
        EXPECT_EQ(ask("GET", path).status, 404);
    }
    EXPECT_EQ(ask("POST", "/api/v1/groups", R"({"name":"g"})").status, 400)
        << "above tenants the body must name one";
}

TEST_F(ChangesTest, APolicysHistoryAndWhatIsInForceAreShown) {
    const std::string path = "/api/v1/policies/" + make("policies", R"("name":"p","source":"a")");
    ASSERT_EQ(ask_if("*", "PUT", path, R"({"name":"p","source":"b"})").status, 200);
    EXPECT_EQ(
        expect<wire::Policy>(200, ask("POST", path + "/activate", R"({"number":1})")).active_number,
        1);
    const auto history = expect<wire::PolicyRevisionList>(200, ask("GET", path + "/revisions"));
    ASSERT_EQ(history.revisions.size(), 2u);
    EXPECT_EQ(history.revisions[0].source, "b");
    EXPECT_EQ(history.revisions[0].created_by, "operator:0");
    EXPECT_TRUE(history.revisions[1].active);
    EXPECT_EQ(ask_if("*", "DELETE", path).status, 409);
}

}  // namespace
}  // namespace cvlan::api
