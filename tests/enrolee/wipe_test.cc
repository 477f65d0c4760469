// SPDX-License-Identifier: Apache-2.0
// What held an identity's keys is wiped, taken or refused.

#include <gtest/gtest.h>

#include "tests/enrolee/issuer.h"
#include "tests/support/freed_memory.h"

namespace cvlan::enrolee {
namespace {

using namespace testing;

// A part of a PEM key that is in no other.
std::string part_of(const std::string& pem) { return pem.substr(pem.find('\n') + 60, 32); }

TEST(Wiping, AnEnrolmentTakenOrRefusedLeavesNoKeyInFreedMemory) {
    const Issuer issuer;
    Identity identity = enrolled_identity(issuer);
    const auto request = enrol_request(identity, issuer.token("https://c:1"), {}, {});
    const auto good = issuer.enrol(request->csr, "https://c:1");
    auto bad = good;
    bad.map_keys.clear();
    identity.kept.next_tls_key = pki::TlsKey::generate()->to_pem()->reveal();

    const cvlan::test::FreedMemory old(part_of(identity.kept.tls_key));
    EXPECT_FALSE(accept(identity, bad));
    EXPECT_TRUE(accept(identity, good));
    EXPECT_EQ(old.leaks(), 0);
}

TEST(Wiping, AKeyNobodyWaitsForAnyMoreGoesWithItsBytes) {
    const Issuer issuer;
    Identity identity = enrolled_identity(issuer);
    const auto request = enrol_request(identity, issuer.token("https://c:1"), {}, {});
    identity.kept.next_tls_key = pki::TlsKey::generate()->to_pem()->reveal();
    const cvlan::test::FreedMemory next(part_of(*identity.kept.next_tls_key));
    EXPECT_TRUE(accept(identity, issuer.enrol(request->csr, "https://c:1")));
    EXPECT_EQ(next.leaks(), 0);
}

TEST(Wiping, ARenewalLeavesTheOldKeyNowhere) {
    const Issuer issuer;
    Identity identity = enrolled_identity(issuer);
    const auto key = pki::TlsKey::generate();
    identity.kept.next_tls_key = key->to_pem()->reveal();
    const auto answer = issuer.enrol(*pki::create_csr(*key), "https://c:1");
    const cvlan::test::FreedMemory old(part_of(identity.kept.tls_key));
    EXPECT_FALSE(accept_renewal(identity, {answer.certificate, answer.trust_bundle, {}}));
    EXPECT_TRUE(
        accept_renewal(identity, {answer.certificate, answer.trust_bundle, answer.map_keys}));
    EXPECT_EQ(old.leaks(), 0);
}

}  // namespace
}  // namespace cvlan::enrolee
