// SPDX-License-Identifier: Apache-2.0
// A company's own CA, made with the openssl program, signs our intermediate.
#include "pki/imported.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "pki/authority.h"
#include "pki/certificate.h"
#include "tests/support/temp_dir.h"

namespace cvlan::pki {
namespace {

using std::chrono::days;

const NodeSubject kNode{"0190a000-0000-7000-8000-000000000001",
                        "0190a000-0000-7000-8000-00000000000a"};

class ImportedTest : public testing::Test {
protected:
    ImportedTest() {
        EXPECT_TRUE(Authority::create(pki_, "cvlan.example", now_));
        run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "
            "'/O=Example/CN=Example root' -keyout root.key -out root.pem");
        run("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "
            "'/O=Example/CN=Example issuing' -keyout issuing.key -out issuing.csr");
        EXPECT_TRUE(write_durable(company_.file("issuing.ext"),
                                  "basicConstraints=critical,CA:TRUE\n"
                                  "keyUsage=critical,keyCertSign,cRLSign\n",
                                  0600));
        run("x509 -req -in issuing.csr -CA root.pem -CAkey root.key -days 3000 -extfile "
            "issuing.ext -out issuing.pem");
    }

    void run(const std::string& words) {
        const std::string command =
            fmt::format("cd {} && openssl {} 2>>openssl.log", company_.path(), words);
        EXPECT_EQ(std::system(command.c_str()), 0)
            << *read_file(company_.file("openssl.log"), 1 << 20);
    }
    // What the company answers to a request of ours.
    std::string signed_chain(const std::string& request,
                             const std::string& profile = "copy_extensions") {
        EXPECT_TRUE(write_durable(company_.file("ours.csr"), request, 0600));
        const std::string how = profile == "copy_extensions"
                                    ? std::string("-copy_extensions copyall")
                                    : "-extfile " + profile;
        run("x509 -req -in ours.csr -CA issuing.pem -CAkey issuing.key -days 365 " + how +
            " -out ours.pem");
        return text("ours.pem") + text("issuing.pem") + text("root.pem");
    }
    std::string text(const std::string& name) { return *read_file(company_.file(name), 65536); }
    std::string ask() {
        auto request = request_intermediate(pki_);
        EXPECT_TRUE(request) << request.error().message;
        return *request;
    }
    Result<std::string> import(const std::string& chain, std::optional<WallTime> at = {},
                               const std::string& server_name = "controller.cvlan.example") {
        return import_intermediate(pki_, chain, server_name, at.value_or(now_));
    }
    // Ours, with an extension that the company's CA adds.
    std::string chain_with(const std::string& request, const std::string& extension) {
        EXPECT_TRUE(write_durable(company_.file("with.ext"),
                                  "basicConstraints=critical,CA:TRUE,pathlen:0\n"
                                  "keyUsage=critical,keyCertSign,cRLSign\n" +
                                      extension + "\n",
                                  0600));
        return signed_chain(request, "with.ext");
    }
    void expect_denied(const std::string& chain, const std::string& why) {
        const auto name = import(chain);
        ASSERT_FALSE(name) << why;
        EXPECT_EQ(name.error().code, Code::Denied);
        EXPECT_NE(name.error().message.find(why), std::string::npos) << name.error().message;
    }
    IssuedCertificate issue(const Authority& authority) {
        const auto csr = *Csr::parse(*create_csr(key_));
        auto issued = authority.issue_node(csr, kNode, now_);
        EXPECT_TRUE(issued) << issued.error().message;
        return *issued;
    }
    Authority open() {
        auto opened = Authority::open(pki_);
        EXPECT_TRUE(opened) << opened.error().message;
        return std::move(*opened);
    }

    test::TempDir dir_, company_;
    std::string pki_ = dir_.file("pki");
    // openssl dates what it makes by the machine's clock, to the second.
    WallTime now_ = SystemClock().now() + std::chrono::minutes(1);
    TlsKey key_ = std::move(*TlsKey::generate());
};

TEST_F(ImportedTest, NodesLearnTheNewRootBeforeItIsUsedAndKeepTheOldOne) {
    const Authority before = open();
    const auto old_node = issue(before);
    const auto name = import(signed_chain(ask()));
    ASSERT_TRUE(name) << name.error().message;

    const Authority announced = open();
    EXPECT_EQ(announced.root_spki(), before.root_spki());
    ASSERT_EQ(announced.trust_bundle().size(), 2u);
    EXPECT_EQ(announced.trust_bundle()[1], text("root.pem"));

    ASSERT_TRUE(use_intermediate(pki_, *name));
    const Authority after = open();
    EXPECT_EQ(after.trust_domain(), "cvlan.example");
    EXPECT_EQ(after.root_spki(), *spki_sha256(text("root.pem")));
    const auto new_node = issue(after);
    EXPECT_EQ(split_chain(new_node.chain_pem)->size(), 4u);  // leaf, ours, theirs, root
    EXPECT_TRUE(verify_chain(new_node.chain_pem, {text("root.pem")}, now_));
    EXPECT_TRUE(verify_chain(new_node.chain_pem, announced.trust_bundle(), now_));
    EXPECT_TRUE(verify_chain(old_node.chain_pem, after.trust_bundle(), now_));
    EXPECT_TRUE(parse_node_certificate(new_node.chain_pem, "cvlan.example"));
    EXPECT_FALSE(verify_chain(new_node.chain_pem, before.trust_bundle(), now_));

    // And the way back.
    ASSERT_TRUE(use_intermediate(pki_, ""));
    EXPECT_EQ(open().root_spki(), before.root_spki());
}

TEST_F(ImportedTest, OurOwnRootRenewsNoIntermediateOfACompany) {
    const auto name = import(signed_chain(ask()));
    ASSERT_TRUE(name) << name.error().message;
    ASSERT_TRUE(use_intermediate(pki_, *name));
    const auto renewed = Authority::renew_intermediate(pki_, now_);
    ASSERT_FALSE(renewed);
    EXPECT_EQ(renewed.error().code, Code::Conflict);
    EXPECT_TRUE(Authority::open(pki_));
    // The next one of the same company adds no second root.
    const auto next = import(signed_chain(ask()));
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_NE(*next, *name);
    ASSERT_TRUE(use_intermediate(pki_, *next));
    EXPECT_EQ(open().trust_bundle().size(), 2u);
}

TEST_F(ImportedTest, WhatTheNodesWouldNotBelieveIsRefusedAndNothingIsInUse) {
    const std::string request = ask();
    const std::string chain = signed_chain(request);
    EXPECT_TRUE(
        write_durable(company_.file("leaf.ext"), "basicConstraints=critical,CA:FALSE\n", 0600));
    const std::string root = text("root.pem"), ours = text("ours.pem");
    const std::string leaf = signed_chain(request, "leaf.ext");
    const std::pair<std::string, Code> wrong[] = {
        {"", Code::Malformed},
        {"no certificate", Code::Malformed},
        {root, Code::Invalid},                         // no intermediate
        {ours + text("issuing.pem"), Code::Invalid},   // no root
        {leaf, Code::Denied},                          // may not sign
        {text("issuing.pem") + root, Code::Conflict},  // not our key
    };
    for (const auto& [pem, code] : wrong) {
        const auto name = import(pem);
        ASSERT_FALSE(name) << pem;
        EXPECT_EQ(name.error().code, code) << name.error().message;
    }
    const auto without_issuer = import(ours + root);
    EXPECT_FALSE(without_issuer);
    const auto late = import(chain, now_ + days(400));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::Denied);

    EXPECT_TRUE(imported(pki_).empty());
    EXPECT_EQ(use_intermediate(pki_, "imported-0001").error().code, Code::NotFound);
    EXPECT_EQ(use_intermediate(pki_, "../../etc").error().code, Code::NotFound);
    EXPECT_EQ(open().trust_bundle().size(), 1u);
    // The request is open still.
    EXPECT_TRUE(import(chain));
    EXPECT_EQ(import(chain).error().code, Code::Conflict);
}

TEST_F(ImportedTest, NamesThatTheCompanyDoesNotPermitShowBeforeItIsInUse) {
    const std::string request = ask();
    const auto permitting = [&](const std::string& names) {
        return chain_with(request, "nameConstraints=critical," + names);
    };
    expect_denied(permitting("permitted;DNS:corp.example"), "a node's certificate");
    expect_denied(permitting("permitted;URI:corp.example"), "a node's certificate");
    expect_denied(permitting("excluded;DNS:cvlan.example"), "a node's certificate");
    expect_denied(permitting("permitted;dirName:here\n[here]\nO=Example"), "a node's certificate");
    const std::string ours = permitting("permitted;DNS:cvlan.example,permitted;URI:cvlan.example");
    const auto elsewhere = import(ours, now_, "controller.elsewhere.example");
    ASSERT_FALSE(elsewhere);
    EXPECT_EQ(elsewhere.error().code, Code::Denied);
    EXPECT_NE(elsewhere.error().message.find("controller.elsewhere.example"), std::string::npos);
    EXPECT_TRUE(imported(pki_).empty());

    const auto name = import(ours);
    ASSERT_TRUE(name) << name.error().message;
    ASSERT_TRUE(use_intermediate(pki_, *name));
    EXPECT_TRUE(verify_chain(issue(open()).chain_pem, {text("root.pem")}, now_));
}

TEST_F(ImportedTest, AUseThatTheCompanyDoesNotPermitShowsBeforeItIsInUse) {
    const std::string request = ask();
    expect_denied(chain_with(request, "extendedKeyUsage=serverAuth"), "a node's certificate");
    expect_denied(chain_with(request, "extendedKeyUsage=clientAuth"), "a node's certificate");
    const auto both = import(chain_with(request, "extendedKeyUsage=clientAuth,serverAuth"));
    EXPECT_TRUE(both) << both.error().message;
}

TEST_F(ImportedTest, AFolderThatIsCutShortIsNamed) {
    const auto name = import(signed_chain(ask()));
    ASSERT_TRUE(name) << name.error().message;
    ASSERT_TRUE(use_intermediate(pki_, *name));
    ASSERT_EQ(unlink((pki_ + "/" + *name + "/intermediate.pem").c_str()), 0);
    const auto opened = Authority::open(pki_);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find(*name), std::string::npos) << opened.error().message;
}

}  // namespace
}  // namespace cvlan::pki
