// SPDX-License-Identifier: Apache-2.0
#include "pki/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace cvlan::pki {
namespace {

TEST(TlsKey, SurvivesPem) {
    const auto key = TlsKey::generate();
    ASSERT_TRUE(key);
    const auto again = TlsKey::from_pem(*key->to_pem());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(key->key_hash(), again->key_hash());
    EXPECT_EQ(key->key_hash().size(), 64u);
    EXPECT_NE(key->key_hash(), TlsKey::generate()->key_hash());
}

TEST(TlsKey, RefusesOtherKinds) {
    EXPECT_FALSE(TlsKey::from_pem(SecretText("")));
    EXPECT_FALSE(TlsKey::from_pem(SecretText("-----BEGIN PRIVATE KEY-----\nAAAA\n")));
    const auto ed25519 = TlsKey::from_pem(*SigningKey::generate().to_pem());
    ASSERT_FALSE(ed25519);
    EXPECT_EQ(ed25519.error().code, Code::Invalid);
}

TEST(SigningKey, SignsWhatItsPublicHalfVerifies) {
    const SigningKey key = SigningKey::generate();
    const Bytes signature = key.sign(as_bytes("a map"));
    EXPECT_EQ(signature.size(), 64u);
    EXPECT_TRUE(key.public_key().verify(as_bytes("a map"), signature));
    EXPECT_FALSE(key.public_key().verify(as_bytes("a mop"), signature));
    EXPECT_FALSE(key.public_key().verify(as_bytes("a map"), Bytes(63)));
    EXPECT_FALSE(SigningKey::generate().public_key().verify(as_bytes("a map"), signature));

    const auto again = SigningKey::from_pem(*key.to_pem());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->kid(), key.kid());
    EXPECT_FALSE(SigningKey::from_pem(*TlsKey::generate()->to_pem()));
}

// RFC 8032 section 7.1, test 2.
TEST(VerifyKey, AgreesWithTheRfc) {
    const Bytes raw = *from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const auto key = VerifyKey::from_base64(base64(raw));
    ASSERT_TRUE(key);
    const Bytes signature = *from_hex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    EXPECT_TRUE(key->verify(*from_hex("72"), signature));
    EXPECT_EQ(key->kid(), hex(sha256(raw)).substr(0, 16));
    EXPECT_EQ(key->to_base64(), base64(raw));
}

TEST(VerifyKey, RefusesWhatIsNoKey) {
    EXPECT_FALSE(VerifyKey::from_base64("???"));
    EXPECT_FALSE(VerifyKey::from_bytes(Bytes(31)));
    EXPECT_FALSE(VerifyKey::from_bytes(Bytes(33)));
}

TEST(SignedBytes, HoldOnlyForTheirKeyAndContent) {
    const SigningKey key = SigningKey::generate();
    SignedBytes bytes = sign_bytes(key, R"({"revision":"7"})");
    const auto holds = [&](const SigningKey& by) {
        return by.public_key().verify(as_bytes(bytes.payload), bytes.signature);
    };
    EXPECT_EQ(bytes.kid, key.kid());
    EXPECT_TRUE(holds(key));
    EXPECT_FALSE(holds(SigningKey::generate()));
    bytes.payload[14] = '8';
    EXPECT_FALSE(holds(key));
}

TEST(TenantKeys, AreMadeOnceAndKept) {
    const test::TempDir dir;
    const auto made = TenantKeys::create(dir.path(), "tenant");
    ASSERT_TRUE(made) << made.error().message;
    const auto kept = TenantKeys::create(dir.path(), "tenant");
    const auto loaded = TenantKeys::load(dir.path(), "tenant");
    ASSERT_TRUE(kept && loaded);
    EXPECT_EQ(made->token.kid(), kept->token.kid());
    EXPECT_EQ(made->map.kid(), loaded->map.kid());
    EXPECT_NE(made->map.kid(), made->token.kid());

    struct stat status {};
    ASSERT_EQ(::stat(dir.file("tenant/map.key").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_TRUE(TenantKeys::remove(dir.path(), "tenant"));
    EXPECT_EQ(TenantKeys::load(dir.path(), "tenant").error().code, Code::NotFound);
    EXPECT_TRUE(TenantKeys::remove(dir.path(), "tenant"));
}

TEST(TenantKeys, AreRefusedWhenOthersCanReadThem) {
    const test::TempDir dir;
    ASSERT_TRUE(TenantKeys::create(dir.path(), "tenant"));
    ASSERT_EQ(::chmod(dir.file("tenant/token.key").c_str(), 0644), 0);
    const auto loaded = TenantKeys::load(dir.path(), "tenant");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Denied);
    EXPECT_FALSE(TenantKeys::create(dir.path(), "tenant"));
}

TEST(TenantKeys, AreNotReplacedWhenAFileIsBad) {
    const test::TempDir dir;
    ASSERT_TRUE(TenantKeys::create(dir.path(), "tenant"));
    ASSERT_TRUE(write_durable(dir.file("tenant/map.key"), "garbage", 0600));
    EXPECT_FALSE(TenantKeys::load(dir.path(), "tenant"));
    EXPECT_FALSE(TenantKeys::create(dir.path(), "tenant"));
    EXPECT_EQ(*read_file(dir.file("tenant/map.key"), 100), "garbage");
}

}  // namespace
}  // namespace cvlan::pki
