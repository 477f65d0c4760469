// SPDX-License-Identifier: Apache-2.0
#include "pki/authority.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/file.h"
#include "pki/certificate.h"
#include "pki/openssl.h"
#include "tests/support/temp_dir.h"

namespace cvlan::pki {
namespace {

using std::chrono::days;
using std::chrono::minutes;

constexpr const char* kDomain = "cvlan.example";
const NodeSubject kNode{"0190a000-0000-7000-8000-000000000001",
                        "0190a000-0000-7000-8000-00000000000a"};
const WallTime kNow = from_unix_ms(1'700'000'000'000);

class AuthorityTest : public testing::Test {
protected:
    Authority authority() {
        EXPECT_TRUE(Authority::create(dir_.path(), kDomain, kNow));
        auto opened = Authority::open(dir_.path());
        EXPECT_TRUE(opened) << opened.error().message;
        return std::move(*opened);
    }
    static Csr csr(const TlsKey& key) { return std::move(*Csr::parse(*create_csr(key))); }

    test::TempDir dir_;
    TlsKey key_ = std::move(*TlsKey::generate());
};

std::string extension_text(std::string_view pem, int nid) {
    auto certificate = read_certificate(pem);
    const int at = X509_get_ext_by_NID(certificate->get(), nid, -1);
    if (at < 0) return "absent";
    BioPtr bio(BIO_new(BIO_s_mem()));
    X509V3_EXT_print(bio.get(), X509_get_ext(certificate->get(), at), 0, 0);
    const bool is_critical = X509_EXTENSION_get_critical(X509_get_ext(certificate->get(), at));
    return (is_critical ? "critical " : "") + bio_text(bio.get());
}

TEST_F(AuthorityTest, IsMadeOnce) {
    EXPECT_EQ(Authority::create(dir_.path(), kDomain, kNow), true);
    const std::string root = *read_file(dir_.file("root.pem"), 65536);
    const std::string key = *read_file(dir_.file("intermediate.key"), 65536);
    EXPECT_EQ(Authority::create(dir_.path(), "other.example", kNow), false);
    EXPECT_EQ(*read_file(dir_.file("root.pem"), 65536), root);
    EXPECT_EQ(*read_file(dir_.file("intermediate.key"), 65536), key);
    EXPECT_EQ(Authority::open(dir_.path())->trust_domain(), kDomain);
}

// F44: a root that was lost is not made anew, for nobody would trust the new one.
TEST_F(AuthorityTest, MakesNoRootBesideAnIntermediateThatIsThere) {
    authority();
    std::filesystem::remove(dir_.file("root.pem"));
    const auto made = Authority::create(dir_.path(), kDomain, kNow);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::Conflict);
    EXPECT_FALSE(std::filesystem::exists(dir_.file("root.pem")));
}

TEST_F(AuthorityTest, KeepsItsKeysToItself) {
    authority();
    for (const char* name : {"root.key", "intermediate.key"}) {
        struct stat status {};
        ASSERT_EQ(::stat(dir_.file(name).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
        ASSERT_EQ(::chmod(dir_.file(name).c_str(), 0640), 0);
        const auto opened = Authority::open(dir_.path());
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, Code::Denied) << name;
        ASSERT_EQ(::chmod(dir_.file(name).c_str(), 0600), 0);
    }
    EXPECT_TRUE(Authority::open(dir_.path()));
}

TEST_F(AuthorityTest, WorksWithItsRootKeyOffline) {
    authority();
    ASSERT_EQ(::unlink(dir_.file("root.key").c_str()), 0);
    auto opened = Authority::open(dir_.path());
    ASSERT_TRUE(opened);
    EXPECT_TRUE(opened->issue_node(csr(key_), kNode, kNow));
    EXPECT_EQ(Authority::create(dir_.path(), kDomain, kNow), false);
    EXPECT_FALSE(Authority::renew_intermediate(dir_.path(), kNow));
    ASSERT_EQ(::unlink(dir_.file("intermediate.pem").c_str()), 0);
    EXPECT_FALSE(Authority::create(dir_.path(), kDomain, kNow));
}

TEST_F(AuthorityTest, IssuesANodeCertificateThatLeadsToTheRoot) {
    const Authority ca = authority();
    const auto issued = ca.issue_node(csr(key_), kNode, kNow);
    ASSERT_TRUE(issued) << issued.error().message;
    EXPECT_TRUE(verify_chain(issued->chain_pem, ca.trust_bundle(), kNow));
    EXPECT_TRUE(verify_chain(issued->chain_pem, ca.trust_bundle(), kNow + days(29)));
    EXPECT_FALSE(verify_chain(issued->chain_pem, ca.trust_bundle(), kNow + days(31)));
    EXPECT_EQ(split_chain(issued->chain_pem)->size(), 3u);
    EXPECT_EQ(issued->not_after, kNow + days(30));
    EXPECT_EQ(issued->not_before, kNow - minutes(5));

    const auto node = parse_node_certificate(issued->chain_pem, kDomain);
    ASSERT_TRUE(node) << node.error().message;
    EXPECT_EQ(node->tenant_id, kNode.tenant_id);
    EXPECT_EQ(node->node_id, kNode.node_id);
    EXPECT_EQ(node->serial, issued->serial);
    EXPECT_EQ(node->key_hash, key_.key_hash());
    EXPECT_EQ(node->not_after, issued->not_after);
    EXPECT_EQ(*spki_sha256(split_chain(issued->chain_pem)->back()), ca.root_spki());
}

TEST_F(AuthorityTest, SetsTheExtensionsItself) {
    const Authority ca = authority();
    const std::string pem = ca.issue_node(csr(key_), kNode, kNow)->chain_pem;
    EXPECT_EQ(extension_text(pem, NID_basic_constraints), "critical CA:FALSE");
    EXPECT_EQ(extension_text(pem, NID_key_usage), "critical Digital Signature");
    EXPECT_EQ(extension_text(pem, NID_ext_key_usage), "TLS Web Client Authentication");
    EXPECT_EQ(extension_text(pem, NID_subject_alt_name),
              fmt::format("URI:spiffe://{0}/tenant/{1}/node/{2}, DNS:{2}.{1}.{0}", kDomain,
                          kNode.tenant_id, kNode.node_id));
    EXPECT_NE(extension_text(pem, NID_subject_key_identifier), "absent");
    EXPECT_NE(extension_text(pem, NID_authority_key_identifier), "absent");
    const auto chain = *split_chain(pem);
    EXPECT_EQ(extension_text(chain[1], NID_basic_constraints), "critical CA:TRUE, pathlen:0");
    EXPECT_EQ(extension_text(chain[2], NID_basic_constraints), "critical CA:TRUE, pathlen:1");
    auto leaf = read_certificate(pem);
    BioPtr bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), X509_get_subject_name(leaf->get()), 0, XN_FLAG_ONELINE);
    EXPECT_EQ(bio_text(bio.get()), fmt::format("O = {}, CN = {}", kNode.tenant_id, kNode.node_id));
}

TEST_F(AuthorityTest, LetsVroutersAndRelaysServe) {
    const Authority ca = authority();
    for (const auto role : {model::TokenRole::Vrouter, model::TokenRole::Relay}) {
        NodeSubject subject = kNode;
        subject.role = role;
        const auto issued = ca.issue_node(csr(key_), subject, kNow);
        EXPECT_EQ(extension_text(issued->chain_pem, NID_ext_key_usage),
                  "TLS Web Client Authentication, TLS Web Server Authentication");
    }
}

TEST_F(AuthorityTest, GivesRandomSerials) {
    const Authority ca = authority();
    const auto one = ca.issue_node(csr(key_), kNode, kNow);
    const auto two = ca.issue_node(csr(key_), kNode, kNow);
    EXPECT_NE(one->serial, two->serial);
    EXPECT_GE(one->serial.size(), 28u);
}

TEST_F(AuthorityTest, IssuesServerCertificatesForNamesAndAddresses) {
    const Authority ca = authority();
    const auto issued =
        ca.issue_server(key_, {"controller.example", "192.0.2.1", "2001:db8::1"}, kNow);
    ASSERT_TRUE(issued) << issued.error().message;
    EXPECT_EQ(issued->not_after, kNow + days(90));
    EXPECT_EQ(extension_text(issued->chain_pem, NID_subject_alt_name),
              "DNS:controller.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1");
    EXPECT_EQ(extension_text(issued->chain_pem, NID_ext_key_usage),
              "TLS Web Server Authentication");
    EXPECT_TRUE(verify_chain(issued->chain_pem, ca.trust_bundle(), kNow));
    // It is nobody's identity.
    EXPECT_EQ(parse_node_certificate(issued->chain_pem, kDomain).error().code, Code::Denied);
    EXPECT_FALSE(ca.issue_server(key_, {}, kNow));
    EXPECT_FALSE(ca.issue_server(key_, {"*.example"}, kNow));
    EXPECT_FALSE(ca.issue_server(key_, {"a,DNS:b.example"}, kNow));
}

TEST_F(AuthorityTest, NeverOutlivesItsIntermediate) {
    const Authority ca = authority();
    const WallTime late = ca.intermediate_not_after() - days(2);
    EXPECT_EQ(ca.issue_node(csr(key_), kNode, late)->not_after, ca.intermediate_not_after());
    const auto after = ca.issue_node(csr(key_), kNode, ca.intermediate_not_after());
    ASSERT_FALSE(after);
    EXPECT_EQ(after.error().code, Code::Unavailable);
    EXPECT_EQ(ca.issue_node(csr(key_), kNode, kNow - days(1))->not_before, kNow - minutes(5));
    EXPECT_FALSE(ca.issue_node(csr(key_), {"tenant", "node"}, kNow));
}

TEST_F(AuthorityTest, RenewsItsIntermediateUnderLivingCertificates) {
    const Authority old = authority();
    const auto before = old.issue_node(csr(key_), kNode, kNow);
    ASSERT_TRUE(Authority::renew_intermediate(dir_.path(), kNow + days(1)));
    const auto renewed = Authority::open(dir_.path());
    ASSERT_TRUE(renewed) << renewed.error().message;
    const auto after = renewed->issue_node(csr(key_), kNode, kNow + days(1));
    EXPECT_EQ(renewed->root_spki(), old.root_spki());
    EXPECT_TRUE(verify_chain(before->chain_pem, renewed->trust_bundle(), kNow + days(2)));
    EXPECT_TRUE(verify_chain(after->chain_pem, old.trust_bundle(), kNow + days(2)));
}

// A crash between the writes of the new key and of its certificate.
TEST_F(AuthorityTest, OpensWhenARenewalWasCutShort) {
    authority();
    const std::string certificate = *read_file(dir_.file("intermediate.pem"), 65536);
    ASSERT_TRUE(Authority::renew_intermediate(dir_.path(), kNow));
    ASSERT_TRUE(write_durable(dir_.file("intermediate.pem"), certificate, 0644));
    EXPECT_TRUE(Authority::open(dir_.path()));
}

TEST_F(AuthorityTest, RefusesFilesThatDoNotFit) {
    authority();
    const std::string key = TlsKey::generate()->to_pem()->reveal();
    ASSERT_TRUE(write_durable(dir_.file("intermediate.key"), key, 0600));
    ASSERT_TRUE(write_durable(dir_.file("intermediate.key"), key, 0600));
    EXPECT_EQ(Authority::open(dir_.path()).error().code, Code::Malformed);
    ASSERT_TRUE(write_durable(dir_.file("intermediate.pem"), "", 0644));
    EXPECT_FALSE(Authority::open(dir_.path()));
    const test::TempDir empty;
    EXPECT_EQ(Authority::open(empty.path()).error().code, Code::NotFound);
    EXPECT_EQ(Authority::create(empty.path(), "no domain", kNow).error().code, Code::Invalid);
}

TEST_F(AuthorityTest, RefusesAnIntermediateOfAnotherRoot) {
    authority();
    const test::TempDir other;
    ASSERT_TRUE(Authority::create(other.path(), kDomain, kNow));
    for (const char* name : {"intermediate.pem", "intermediate.key"})
        ASSERT_TRUE(write_durable(dir_.file(name), *read_file(other.file(name), 65536), 0600));
    EXPECT_EQ(Authority::open(dir_.path()).error().code, Code::Malformed);
}

TEST_F(AuthorityTest, IdentityEndsAtTheTrustDomain) {
    const Authority ca = authority();
    const std::string pem = ca.issue_node(csr(key_), kNode, kNow)->chain_pem;
    EXPECT_EQ(parse_node_certificate(pem, "cvlan.exampl").error().code, Code::Denied);
    EXPECT_EQ(parse_node_certificate(pem, "other.example").error().code, Code::Denied);
    EXPECT_EQ(parse_node_certificate(ca.root_pem(), kDomain).error().code, Code::Denied);
    EXPECT_EQ(parse_node_certificate("", kDomain).error().code, Code::Malformed);
    EXPECT_EQ(parse_node_certificate_der(as_bytes("x"), kDomain).error().code, Code::Malformed);
}

TEST_F(AuthorityTest, ChainsOfStrangersAreRefused) {
    const Authority ca = authority();
    const test::TempDir other;
    ASSERT_TRUE(Authority::create(other.path(), kDomain, kNow));
    const auto stranger = Authority::open(other.path());
    const std::string pem = stranger->issue_node(csr(key_), kNode, kNow)->chain_pem;
    EXPECT_EQ(verify_chain(pem, ca.trust_bundle(), kNow).error().code, Code::Denied);
    EXPECT_FALSE(verify_chain("", ca.trust_bundle(), kNow));
    EXPECT_FALSE(verify_chain(pem, {"nonsense"}, kNow));
    EXPECT_FALSE(split_chain("-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"));
    EXPECT_FALSE(split_chain("trailing text"));
}

}  // namespace
}  // namespace cvlan::pki
