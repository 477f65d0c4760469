// SPDX-License-Identifier: Apache-2.0
#include "enrolee/identity.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"

namespace cvlan::enrolee {

const std::string Identity::kEmpty;

namespace {

constexpr int kFormat = 1;
constexpr std::string_view kGrave = ".gone-";  // an identity on its way out

void wipe(std::string& text) { OPENSSL_cleanse(text.data(), text.size()); }
void wipe(std::optional<std::string>& text) {
    if (text) wipe(*text);
}

std::string identity_path(const std::string& folder) { return folder + "/identity.json"; }

bool exists(const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0;
}

Result<void> check_folder(const std::string& path, const struct stat& status) {
    if (!S_ISDIR(status.st_mode))
        return fail(Code::Denied, "state_dir {}: is no folder (a link is refused)", path);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return fail(Code::Denied, "state_dir {}: belongs to uid {}", path, status.st_uid);
    if ((status.st_mode & 077) != 0)
        return fail(Code::Denied, "state_dir {}: others can open it (mode {:o}); chmod 700 it",
                    path, status.st_mode & 0777);
    return {};
}

// Absent is success.
Result<void> remove_tree(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return fail(Code::Internal, "remove {}: {}", path, error.message());
    return {};
}

}  // namespace

Identity& Identity::operator=(Identity&& other) noexcept {
    std::swap(kept, other.kept);  // the old keys are wiped with `other`
    used_previous = other.used_previous;
    return *this;
}

Identity::~Identity() {
    wipe(kept.tls_key);
    wipe(kept.next_tls_key);
    for (auto& network : kept.networks) wipe(network.wireguard_key);
}

state::NetworkKeys* Identity::network(std::string_view network_id) {
    for (auto& network : kept.networks)
        if (network.network_id == network_id) return &network;
    return nullptr;
}

const state::NetworkKeys* Identity::network(std::string_view network_id) const {
    return const_cast<Identity*>(this)->network(network_id);
}

Result<std::vector<pki::VerifyKey>> Identity::map_keys() const {
    std::vector<pki::VerifyKey> keys;
    for (const auto& known : kept.map_keys) {
        auto key = pki::VerifyKey::from_bytes(known.public_key);
        if (!key) return failed(key.error().while_doing("map key " + known.kid));
        keys.push_back(std::move(*key));
    }
    return keys;
}

std::string Identity::trust_pem() const {
    std::string bundle;
    for (const std::string& root : kept.trust_bundle) bundle += root + "\n";
    return bundle;
}

std::string Identity::server_name() const {
    return fmt::format("{}.{}.{}", node_id(), kept.tenant_id, kept.trust_domain.value_or(""));
}

Result<Identity> new_identity(const std::string& tenant_id) {
    // The id comes out of a token nobody has verified, and becomes the name of a folder.
    if (!is_uuid(tenant_id)) return fail(Code::Invalid, "the tenant's id is no UUID");
    auto key = pki::TlsKey::generate();
    if (!key) return failed(key.error());
    auto pem = key->to_pem();
    if (!pem) return failed(pem.error());
    Identity identity;
    identity.kept.tenant_id = tenant_id;
    identity.kept.phase = state::Phase::Pending;
    identity.kept.tls_key = pem->reveal();
    return identity;
}

Result<void> StateDir::check(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return {};
        return failed(errno_error("state_dir " + path));
    }
    if (geteuid() == 0) status.st_uid = 0;
    return check_folder(path, status);
}

Result<StateDir> StateDir::open(const std::string& path) {
    if (auto made = make_directories(path, 0700); !made)
        return failed(made.error().while_doing("state_dir"));
    // Not followed, if it is a link: check_folder() refuses what is no folder.
    UniqueFd fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd || fstat(fd.get(), &status) != 0) return failed(errno_error("state_dir " + path));
    if (auto good = check_folder(path, status); !good) return failed(good.error());
    fd.reset(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return failed(errno_error("state_dir " + path));
    // Of two that write the same identities, each undoes what the other was told.
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return fail(Code::Conflict, "another {} is using {}", program_invocation_short_name,
                        path);
        return failed(errno_error("lock state_dir " + path));
    }
    return StateDir(path, std::move(fd));
}

Result<std::vector<Identity>> StateDir::load_identities() const {
    std::vector<Identity> identities;
    std::error_code error;
    std::vector<std::string> tenants;
    for (const auto& entry : std::filesystem::directory_iterator(path_, error))
        if (is_uuid(entry.path().filename().string()))
            tenants.push_back(entry.path().filename().string());
    if (error) return fail(Code::Internal, "list {}: {}", path_, error.message());
    std::sort(tenants.begin(), tenants.end());  // UUIDv7: in the order they were made

    for (const std::string& tenant : tenants) {
        auto identity = load_identity(tenant);
        // A folder which was made, and then the power failed: no key of it was ever used.
        if (!identity && identity.error().code == Code::NotFound) continue;
        if (!identity) return failed(identity.error());
        identities.push_back(std::move(*identity));
    }
    return identities;
}

Result<Identity> StateDir::load_identity(const std::string& tenant_id) const {
    // Out of a token that nobody has verified, and the name of a folder.
    if (!is_uuid(tenant_id)) return fail(Code::Invalid, "the tenant's id is no UUID");
    const std::string folder = folder_of(tenant_id), path = identity_path(folder);
    auto file = load_secret_state(path, kFormat);
    if (!file) {
        const bool is_damaged = file.error().code != Code::NotFound || exists(path + ".bad");
        if (!is_damaged || file.error().code == Code::Denied)
            return failed(file.error().while_doing("identity " + folder));
        Error why = file.error().while_doing(
            fmt::format("identity {}: it is not made anew; put back a copy, or remove the folder "
                        "to enrol again as a new node",
                        folder));
        if (why.code == Code::NotFound) why.code = Code::Malformed;  // it was here
        return failed(why);
    }
    auto kept = model::decode<state::IdentityState>(file->content, model::kDocument);
    wipe(file->content);
    if (!kept) return failed(kept.error().while_doing(path));
    if (kept->tenant_id != tenant_id)
        return fail(Code::Malformed, "{}: is the identity of tenant {}", path,
                    printable(kept->tenant_id));
    Identity identity;
    identity.kept = std::move(*kept);
    identity.used_previous = file->used_previous;
    return identity;
}

Result<void> StateDir::save_identity(const Identity& identity) const {
    const std::string folder = folder_of(identity.kept.tenant_id);
    if (auto made = make_directories(folder, 0700); !made) return made;
    std::string text = encode(identity.kept);
    auto saved = save_state(identity_path(folder), kFormat, text);
    wipe(text);
    return saved;
}

Result<void> StateDir::remove_identity(const std::string& tenant_id) const {
    if (!is_uuid(tenant_id)) return fail(Code::Invalid, "no tenant id");
    const std::string folder = folder_of(tenant_id), grave = grave_of(tenant_id);
    if (auto removed = remove_tree(grave); !removed) return removed;
    // In one step, so that a crash leaves the whole identity or a name that nobody loads.
    if (rename(folder.c_str(), grave.c_str()) != 0 && errno != ENOENT)
        return failed(errno_error("remove " + folder));
    if (fsync(fd_.get()) != 0) return failed(errno_error("sync " + path_));
    return remove_tree(grave);
}

std::string StateDir::grave_of(const std::string& tenant_id) const {
    return fmt::format("{}/{}{}", path_, kGrave, tenant_id);
}

Result<void> StateDir::finish_removals() const {
    std::error_code error;
    std::vector<std::string> graves;
    for (const auto& entry : std::filesystem::directory_iterator(path_, error))
        if (entry.path().filename().string().starts_with(kGrave))
            graves.push_back(entry.path().string());
    Result<void> all;
    for (const std::string& grave : graves)
        if (auto removed = remove_tree(grave); !removed) all = removed;
    return all;
}

}  // namespace cvlan::enrolee
