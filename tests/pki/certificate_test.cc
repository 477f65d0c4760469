// SPDX-License-Identifier: Apache-2.0
// What counts as a node's identity, with certificates that our authority would never sign.
#include "pki/certificate.h"

#include <gtest/gtest.h>

#include "pki/issue.h"

namespace cvlan::pki {
namespace {

constexpr const char* kDomain = "cvlan.example";
constexpr const char* kTenant = "0190a000-0000-7000-8000-000000000001";
constexpr const char* kNode = "0190a000-0000-7000-8000-00000000000a";
const WallTime kNow = from_unix_ms(1'700'000'000'000);

EvpPtr<X509> with_uris(const TlsKey& key, std::vector<std::string> uris) {
    CertificateSpec spec;
    spec.subject_key = key.get();
    spec.organization = kTenant;
    spec.common_name = kNode;
    spec.uris = std::move(uris);
    spec.dns_names = {fmt::format("{}.{}.{}", kNode, kTenant, kDomain)};
    spec.not_before = kNow;
    spec.not_after = kNow + std::chrono::days(1);
    return std::move(*make_certificate(spec, nullptr, key.get()));
}

Bytes der_of(X509* certificate) {
    unsigned char* begin = nullptr;
    const int size = i2d_X509(certificate, &begin);
    Bytes der(begin, begin + size);
    OPENSSL_free(begin);
    return der;
}

TEST(NodeCertificate, IsItsOneUriAndNothingElse) {
    const auto key = TlsKey::generate();
    const std::string good = fmt::format("spiffe://{}/tenant/{}/node/{}", kDomain, kTenant, kNode);
    EXPECT_TRUE(parse_node_certificate_der(der_of(with_uris(*key, {good}).get()), kDomain));
    const std::vector<std::vector<std::string>> bad = {
        {},
        {good, good},
        {good, "https://example.org"},
        {"https://example.org"},
        {fmt::format("spiffe://{}", kDomain)},
        {fmt::format("spiffe://{}/tenant/{}/node/", kDomain, kTenant)},
        {fmt::format("spiffe://{}/tenant/{}/user/{}", kDomain, kTenant, kNode)},
        {fmt::format("spiffe://{}/tenant/{}/node/{}", kDomain, kTenant, std::string(36, 'x'))},
        {fmt::format("spiffe://{}/tenant/{}/node/{}", kDomain, std::string(36, 'x'), kNode)},
        {good + "/"},
        {good + std::string(1, '\0')},
        {fmt::format("spiffe://CVLAN.example/tenant/{}/node/{}", kTenant, kNode)},
        {fmt::format("spiffe://x.{}/tenant/{}/node/{}", kDomain, kTenant, kNode)},
    };
    for (const auto& uris : bad) {
        const auto node = parse_node_certificate_der(der_of(with_uris(*key, uris).get()), kDomain);
        ASSERT_FALSE(node) << fmt::format("{}", uris.size());
        EXPECT_EQ(node.error().code, Code::Denied);
    }
}

TEST(NodeCertificate, IsReadFromDerAsFromPem) {
    const auto key = TlsKey::generate();
    const auto certificate =
        with_uris(*key, {fmt::format("spiffe://{}/tenant/{}/node/{}", kDomain, kTenant, kNode)});
    Bytes der = der_of(certificate.get());
    const auto from_der = parse_node_certificate_der(der, kDomain);
    const std::string pem = *certificate_pem(certificate.get());
    const auto from_pem = parse_node_certificate(pem, kDomain);
    ASSERT_TRUE(from_der && from_pem);
    EXPECT_EQ(from_der->serial, from_pem->serial);
    EXPECT_EQ(from_der->key_hash, key->key_hash());
    EXPECT_EQ(*spki_sha256_der(der), *spki_sha256(pem));
    EXPECT_EQ(hex(*spki_sha256(pem)), key->key_hash());

    der.push_back(0);
    EXPECT_EQ(parse_node_certificate_der(der, kDomain).error().code, Code::Malformed);
    EXPECT_EQ(spki_sha256_der(der).error().code, Code::Malformed);
    EXPECT_EQ(spki_sha256("").error().code, Code::Malformed);
}

TEST(Chain, IsOfTenCertificatesAtMost) {
    const auto key = TlsKey::generate();
    const std::string pem = *certificate_pem(with_uris(*key, {}).get());
    std::string chain;
    for (int i = 0; i < 10; ++i) chain += pem;
    EXPECT_EQ(split_chain(chain + "\n")->size(), 10u);
    EXPECT_EQ(split_chain(chain + pem).error().code, Code::Malformed);
    // A certificate that signs itself is no authority's, unless it is the root itself.
    EXPECT_FALSE(verify_chain(pem, {}, kNow));
}

}  // namespace
}  // namespace cvlan::pki
