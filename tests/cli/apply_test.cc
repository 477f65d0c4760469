// SPDX-License-Identifier: Apache-2.0
// get, diff and apply against a controller of their own.
#include <gtest/gtest.h>

#include <memory>
#include <sstream>

#include "cli/cli.h"
#include "tests/cli/real_controller.h"

namespace cvlan::cli {
namespace {

struct Ran {
    int code;
    std::string out, err;
};

// One controller for all; each test works in a tenant of its own.
struct Files : testing::Test {
    static void SetUpTestSuite() {
        controller = std::make_unique<test::RealController>();
        controller->start();
    }
    static void TearDownTestSuite() {
        controller->stop();
        controller.reset();
    }

    Ran run_it(std::vector<std::string> words, const std::string& typed = "",
               bool is_terminal = false) {
        std::ostringstream out, err;
        std::istringstream in(typed);
        const SystemClock clock;
        Io io{out, err, in, clock, is_terminal};
        words.insert(words.begin(), {"--server", "unix:" + controller->socket()});
        const int code = run(words, io);
        return {code, out.str(), err.str()};
    }
    Ran apply_text(const std::string& text) { return run_it({"apply", "-f", "-"}, text); }
    Ran diff_text(const std::string& text) { return run_it({"diff", "-f", "-"}, text); }

    static std::unique_ptr<test::RealController> controller;
    test::TempDir folder;
};
std::unique_ptr<test::RealController> Files::controller;

std::string tenant(const std::string& name) { return "kind: tenant\nname: " + name + "\n"; }
std::string network(const std::string& in, const std::string& name, const std::string& more) {
    return "kind: network\ntenant: " + in + "\nname: " + name + "\n" + more + "\n";
}

TEST_F(Files, AreAppliedOnceInTheOrderOfTheirReferences) {
    const std::string text = network("first", "office", "ipv4: 10.1.0.0/24\nmtu: 1380") + "---\n" +
                             tenant("first") + "---\n" +
                             network("first", "lab", "ipv4: none\nipv6: auto");
    const std::string plan =
        "+ tenant first\n"
        "+ network first/office: ipv4 10.1.0.0/24, mtu 1380\n"
        "+ network first/lab: ipv4 none, ipv6 auto\n";
    const Ran before = diff_text(text);
    EXPECT_EQ(before.code, 1) << before.err;
    EXPECT_EQ(before.out, plan);
    EXPECT_EQ(run_it({"apply", "--dry-run", "-f", "-"}, text).out, plan);
    EXPECT_EQ(run_it({"tenant", "show", "first"}).code, kNotFound) << "a dry run changes nothing";
    const Ran done = apply_text(text);
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out, plan);
    for (const Ran& again : {apply_text(text), diff_text(text)}) {
        EXPECT_EQ(again.code, kOk);
        EXPECT_EQ(again.out + again.err, "");
    }
}

TEST_F(Files, TakeBackWhatGetPrints) {
    ASSERT_EQ(apply_text(tenant("back") + "---\n" +
                         network("back", "lan", "ipv4: 10.1.0.0/24\nipv6: auto"))
                  .code,
              kOk);
    const Ran yaml = run_it({"get", "tenants,networks", "-o", "yaml"});
    ASSERT_EQ(yaml.code, kOk) << yaml.err;
    EXPECT_NE(yaml.out.find("tenant: back\n"), std::string::npos) << "names, not ids: " << yaml.out;
    const Ran json = run_it({"get", "network", "lan", "--tenant", "back", "-o", "json"});
    ASSERT_EQ(json.code, kOk) << json.err;
    for (const std::string& text : {yaml.out, json.out}) {
        const Ran again = diff_text(text);
        EXPECT_EQ(again.code, kOk) << again.err;
        EXPECT_EQ(again.out, "");
    }
    ASSERT_EQ(run_it({"network", "delete", "lan", "--tenant", "back", "--yes"}).code, kOk);
    EXPECT_NE(apply_text(yaml.out).out.find("+ network back/lan: ipv4 10.1.0.0/24, ipv6 fd"),
              std::string::npos);
    EXPECT_EQ(diff_text(yaml.out).code, kOk) << "what was lost is there again as it was";
}

TEST_F(Files, InviteUsersWithALinkThatIsShownOnce) {
    const std::string text = tenant("people") +
                             "---\nkind: user\ntenant: people\nemail: anna@example.org\n"
                             "role: OWNER\ndisabled: false\n---\nkind: user\ntenant: people\n"
                             "email: bert@example.org\nrole: MEMBER\ndisabled: true\n";
    const Ran planned = diff_text(text);
    EXPECT_EQ(planned.code, 1) << planned.err;
    EXPECT_NE(planned.out.find("+ user people/anna@example.org: role OWNER"), std::string::npos)
        << planned.out;
    const Ran made = apply_text(text);
    ASSERT_EQ(made.code, kOk) << made.err;
    EXPECT_NE(made.out.find("\nuser people/anna@example.org: invitation link: https://127.0.0.1:"),
              std::string::npos)
        << made.out;
    EXPECT_NE(made.out.find("/accept#"), std::string::npos) << "whole: " << made.out;
    const Ran bert = run_it({"user", "show", "bert@example.org", "--tenant", "people"});
    EXPECT_NE(bert.out.find("disabled"), std::string::npos)
        << "though none is made so: " << bert.out;
    for (const std::string& again :
         {text, run_it({"get", "users", "--tenant", "people", "-o", "yaml"}).out}) {
        const Ran same = apply_text(again);
        EXPECT_EQ(same.code, kOk) << same.err;
        EXPECT_EQ(same.out + same.err, "") << "no link a second time";
    }
    const Ran changed = apply_text(
        "kind: user\ntenant: people\nemail: bert@example.org\nrole: AUDITOR\ndisabled: false\n");
    EXPECT_EQ(changed.out,
              "~ user people/bert@example.org: role MEMBER → AUDITOR, disabled true → false\n")
        << changed.err;
    const Ran wrong = apply_text(
        "kind: user\ntenant: people\nemail: c@example.org\nrole: admin\npassword: secret word\n"
        "---\nkind: user\nrole: ADMIN\n");
    EXPECT_EQ(wrong.code, kFailed);
    EXPECT_NE(wrong.err.find("line 4: role: 'admin' is none of "), std::string::npos) << wrong.err;
    EXPECT_NE(wrong.err.find("line 5: a user has no field 'password'"), std::string::npos);
    EXPECT_NE(wrong.err.find("line 7: a user lacks the field 'email'"), std::string::npos);
    EXPECT_EQ(wrong.err.find("secret word"), std::string::npos);
}

TEST_F(Files, AreForProgramsWithoutSecretsInTheirDocument) {
    ASSERT_EQ(apply_text(tenant("quiet")).code, kOk);
    const Ran ran = run_it({"apply", "-o", "json", "-f", "-"},
                           "kind: user\ntenant: quiet\nemail: a@example.org\nrole: OWNER\n");
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(ran.out.find("accept#"), std::string::npos) << ran.out;
    EXPECT_NE(ran.err.find("accept#"), std::string::npos) << ran.err;
}

TEST_F(Files, AreRefusedAsAWholeBeforeAnythingIsDone) {
    const Ran wrong = apply_text(tenant("whole") + "---\n" + "kind: netwrok\nname: x\n---\n" +
                                 network("whole", "a", "ipv4: 10.1.0.0/24\nmtuu: 1\nmtu: many") +
                                 "---\nkind: token\nnetwork: a\n");
    EXPECT_EQ(wrong.code, kFailed);
    EXPECT_EQ(wrong.out, "");
    EXPECT_EQ(wrong.err,
              "cvlanctl: standard input: document 2, line 4: there is no kind 'netwrok'; did you "
              "mean 'network'?\n"
              "cvlanctl: standard input: document 3, line 11: a network has no field 'mtuu'; did "
              "you mean 'mtu'?\n"
              "cvlanctl: standard input: document 3, line 12: mtu: 'many' is no whole number\n"
              "cvlanctl: standard input: document 4, line 14: a token has no name to find it by, "
              "so that it can not be applied\n");
    EXPECT_EQ(run_it({"tenant", "show", "whole"}).code, kNotFound);
}

TEST_F(Files, AreHeldAgainstEachOtherAndTheController) {
    ASSERT_EQ(
        apply_text(tenant("held") + "---\n" + network("held", "lan", "ipv4: 10.1.0.0/24")).code,
        kOk);
    const Ran wrong = apply_text(network("held", "lan", "ipv4: 10.9.0.0/24") + "---\n" +
                                 "kind: node\ntenant: held\nname: n1\n---\n" +
                                 "kind: network\ntenant: held\nname: new\nid: x\nipv5: 1\n");
    EXPECT_EQ(wrong.code, kFailed);
    EXPECT_NE(wrong.err.find("line 14: a network has no field 'ipv5'"), std::string::npos);
    const Ran held = apply_text(network("held", "lan", "ipv4: 10.9.0.0/24") + "---\n" +
                                "kind: node\ntenant: held\nname: n1\n---\n" +
                                network("held", "a", "") + "---\n" + network("held", "a", ""));
    EXPECT_EQ(held.code, kFailed);
    EXPECT_NE(held.err.find("line 15: network held/a: it is there twice"), std::string::npos)
        << held.err;
    const Ran fixed = apply_text(network("held", "lan", "ipv4: 10.9.0.0/24") + "---\n" +
                                 "kind: node\ntenant: held\nname: n1\n");
    EXPECT_NE(fixed.err.find("document 1, line 1: network held/lan: ipv4: 10.1.0.0/24 can not "
                             "become 10.9.0.0/24"),
              std::string::npos)
        << fixed.err;
    EXPECT_NE(fixed.err.find("document 2, line 6: node held/n1: there is none"), std::string::npos)
        << fixed.err;
    const Ran token = apply_text(
        "kind: token\ntenant: held\nnetwork: lan\nid: 0193a1b2-0000-7000-8000-000000000001\n");
    EXPECT_NE(token.err.find("there is none, and a file can not make one"), std::string::npos)
        << "each apply would make another";
    EXPECT_NE(apply_text(network("nobody", "x", "")).err.find("no tenant has the name 'nobody'"),
              std::string::npos);
}

TEST_F(Files, StopAtTheFirstFailureAndSayWhatWasDone) {
    const Ran ran =
        apply_text(tenant("stop") + "---\n" + network("stop", "a", "ipv4: 10.3.0.0/24") + "---\n" +
                   network("stop", "b", "ipv4: 10.3.0.0/16") + "---\n" +
                   network("stop", "c", "ipv4: 10.4.0.0/24"));
    EXPECT_EQ(ran.code, kPartly);
    EXPECT_EQ(ran.err,
              "cvlanctl: standard input: document 3, line 9: network stop/b: 10.3.0.0/16 overlaps "
              "10.3.0.0/24 of network 'a'\n"
              "cvlanctl: stopped there; these were done:\n"
              "+ tenant stop\n"
              "+ network stop/a: ipv4 10.3.0.0/24\n");
    EXPECT_EQ(run_it({"get", "networks", "--tenant", "stop", "-o", "name"}).out, "a\n");
}

TEST_F(Files, PruneOnlyWithConsentAndOnlyInTheirTenants) {
    const std::string both = network("pruned", "a", "ipv4: 10.1.0.0/24") + "---\n" +
                             network("pruned", "b", "ipv4: 10.2.0.0/24");
    ASSERT_EQ(apply_text(tenant("pruned") + "---\n" + tenant("other") + "---\n" + both + "---\n" +
                         network("other", "far", "ipv4: 10.1.0.0/24"))
                  .code,
              kOk);
    const std::string one = network("pruned", "a", "ipv4: 10.1.0.0/24");
    EXPECT_EQ(apply_text(one).out, "") << "without --prune nothing goes";
    const Ran asked = run_it({"apply", "--prune", "-f", "-"}, one);
    EXPECT_EQ(asked.code, kUsage);
    EXPECT_EQ(asked.out, "- network pruned/b\n");
    EXPECT_EQ(diff_text(both).code, kOk);
    EXPECT_EQ(run_it({"apply", "--prune", "--yes", "-f", "-"}, one).code, kOk);
    EXPECT_EQ(run_it({"get", "networks", "--tenant", "pruned", "-o", "name"}).out, "a\n");
    EXPECT_EQ(run_it({"get", "networks", "--tenant", "other", "-o", "name"}).out, "far\n");
}

TEST_F(Files, AreReadFromAFolderInTheOrderOfTheirNames) {
    std::ofstream(folder.file("2.json"))
        << R"([{"kind": "network", "tenant": "folder", "name": "lan", "ipv4": "10.1.0.0/24"}])";
    std::ofstream(folder.file("1.yaml")) << tenant("folder");
    std::ofstream(folder.file("README.md")) << "not one of them";
    const Ran ran = run_it({"apply", "-f", folder.path(), "-o", "json"});
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(ran.out,
              R"({"changes":[{"action":"CREATE","kind":"tenant","name":"folder","fields":[]},)"
              R"({"action":"CREATE","kind":"network","name":"folder/lan","fields":)"
              R"([{"field":"ipv4","before":null,"after":"10.1.0.0/24"}]}]})"
              "\n");
    EXPECT_GT(run_it({"diff", "-f", folder.file("none.yaml")}).code, 1) << "trouble is above 1";
}

TEST_F(Files, AreShownByKindNameAndFilter) {
    ASSERT_EQ(apply_text(tenant("shown") + "---\n" + network("shown", "a", "ipv4: 10.1.0.0/24") +
                         "---\n" + network("shown", "b", "ipv4: 10.2.0.0/24"))
                  .code,
              kOk);
    EXPECT_EQ(run_it({"get", "network", "--tenant", "shown", "-o", "name"}).out, "a\nb\n");
    EXPECT_EQ(run_it({"get", "networks", "--tenant", "shown", "-o", "name", "--limit", "1"}).out,
              "a\n");
    EXPECT_EQ(
        run_it({"get", "networks", "--tenant", "shown", "-o", "name", "--filter", "name=b"}).out,
        "b\n");
    const Ran table = run_it({"get", "networks", "--tenant", "shown"});
    EXPECT_EQ(table.out.substr(0, 15), "NAME  IPV4     ") << table.out;
    const Ran one = run_it({"get", "network", "b", "--tenant", "shown"});
    EXPECT_NE(one.out.find("\nIpv4            10.2.0.0/24\n"), std::string::npos) << one.out;
    EXPECT_NE(run_it({"get", "all"}).out.find("network/a"), std::string::npos);
    EXPECT_EQ(run_it({"get", "network", "c", "--tenant", "shown"}).code, kNotFound);
    const Ran wrong = run_it({"get", "netwroks"});
    EXPECT_EQ(wrong.code, kFailed);
    EXPECT_NE(wrong.err.find("did you mean 'networks'?"), std::string::npos);
    EXPECT_NE(run_it({"get", "networks", "--filter", "colour=red"}).err.find("networks take name"),
              std::string::npos);
}

}  // namespace
}  // namespace cvlan::cli
