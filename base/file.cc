// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "base/bytes.h"
#include "base/log.h"
#include "base/secret.h"

namespace cvlan {

namespace {

constexpr size_t kMaxState = 64u << 20;
constexpr std::string_view kMagic = "cvlan-state ";

struct Opened {
    UniqueFd fd;
    struct stat status {};
};

Result<Opened> open_regular(const std::string& path, int flags = 0) {
    // NONBLOCK: a fifo in the place of a file must not hold us up.
    flags |= O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    Opened opened{UniqueFd(open(path.c_str(), flags))};
    if (!opened.fd && errno == ELOOP && (flags & O_NOFOLLOW) != 0)
        return fail(Code::Denied, "open {}: a link is refused", path);
    if (!opened.fd || fstat(opened.fd.get(), &opened.status) != 0)
        return failed(errno_error(fmt::format("open {}", path)));
    if (!S_ISREG(opened.status.st_mode))
        return fail(Code::Invalid, "open {}: not a regular file", path);
    return opened;
}

// Leaves no copy of what it read but the answer: a file may hold keys.
Result<std::string> read_all(const Opened& opened, const std::string& path, size_t max_bytes) {
    std::string content;
    content.reserve(std::min(max_bytes, static_cast<size_t>(opened.status.st_size)));
    Secret<65536> block;
    while (true) {
        const auto room = block.writable();
        const ssize_t got = read(opened.fd.get(), room.data(), room.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed(errno_error(fmt::format("read {}", path)));
        if (got == 0) return content;
        if (content.size() + static_cast<size_t>(got) > max_bytes)
            return fail(Code::TooLarge, "read {}: larger than {} bytes", path, max_bytes);
        content.append(as_text(room.first(static_cast<size_t>(got))));
    }
}

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t put = write(fd, content.data(), content.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return failed(errno_error(fmt::format("write {}", path)));
        content.remove_prefix(static_cast<size_t>(put));
    }
    return {};
}

Result<void> sync_folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    const UniqueFd fd(
        open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || fsync(fd.get()) != 0) return failed(errno_error(fmt::format("sync {}", folder)));
    return {};
}

Result<void> write_temporary(const std::string& path, std::string_view content, mode_t mode) {
    unlink(path.c_str());  // left by a crash; O_EXCL then refuses a planted link
    const UniqueFd fd(
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd) return failed(errno_error(fmt::format("create {}", path)));
    if (fchmod(fd.get(), mode) != 0) return failed(errno_error(fmt::format("chmod {}", path)));
    if (auto written = write_all(fd.get(), content, path); !written) return written;
    if (fsync(fd.get()) != 0) return failed(errno_error(fmt::format("sync {}", path)));
    return {};
}

Result<void> replace(const std::string& path, std::string_view content, mode_t mode,
                     bool keep_previous) {
    const std::string temporary = path + ".tmp";
    const std::string previous = path + ".prev";
    auto written = write_temporary(temporary, content, mode);
    if (!written) {
        unlink(temporary.c_str());
        return written;
    }
    if (keep_previous) {
        // A hard link, so that at no moment there is no file of this name.
        unlink(previous.c_str());
        if (link(path.c_str(), previous.c_str()) != 0 && errno != ENOENT)
            return failed(errno_error(fmt::format("keep {}", previous)));
    }
    if (rename(temporary.c_str(), path.c_str()) != 0)
        return failed(errno_error(fmt::format("rename to {}", path)));
    return sync_folder_of(path);
}

// "cvlan-state <version> <sha256 of the content>\n" then the content.
SecretText framed(int version, std::string_view content) {
    std::string file = fmt::format("{}{} {}\n", kMagic, version, hex(sha256(as_bytes(content))));
    file.reserve(file.size() + content.size());
    file += content;
    return SecretText(std::move(file));
}

// A view into `file`.
Result<std::string_view> unframed(std::string_view file, int version, const std::string& path) {
    const size_t end = file.find('\n');
    if (!file.starts_with(kMagic) || end == std::string_view::npos)
        return fail(Code::Malformed, "{}: no state file of cvlan", path);
    std::string_view head = file.substr(kMagic.size(), end - kMagic.size());
    int found = 0;
    const auto [stop, error] = std::from_chars(head.data(), head.data() + head.size(), found);
    if (error != std::errc()) return fail(Code::Malformed, "{}: no format version", path);
    if (found > version)
        return fail(Code::Unsupported, "{}: format {} is newer than this program's {}", path, found,
                    version);
    const std::string_view content = file.substr(end + 1);
    const std::string_view digest(stop, static_cast<size_t>(head.data() + head.size() - stop));
    if (digest != " " + hex(sha256(as_bytes(content))))
        return fail(Code::Malformed, "{}: damaged, the checksum differs", path);
    return content;
}

using Read = Result<std::string>(const std::string& path, size_t max_bytes);

Result<SecretText> read_framed(const std::string& path, Read* read) {
    auto file = read(path, kMaxState);
    if (!file) return failed(file.error());
    return SecretText(std::move(*file));
}

// A file that may not be read (`read` says Denied) is no damaged one: nothing takes its place.
Result<StateFile> load(const std::string& path, int version, Read* read) {
    const auto file = read_framed(path, read);
    if (!file && file.error().code != Code::NotFound) return failed(file.error());
    const auto content = file ? unframed(file->reveal(), version, path) : failed(file.error());
    if (content) return StateFile{std::string(*content), false};
    if (content.error().code == Code::Unsupported) return failed(content.error());

    const auto previous_file = read_framed(path + ".prev", read);
    if (!previous_file && previous_file.error().code == Code::Denied)
        return failed(previous_file.error());
    if (!previous_file) return failed(content.error());
    const auto previous = unframed(previous_file->reveal(), version, path + ".prev");
    if (!previous) return failed(content.error().while_doing("both generations are bad"));
    if (file && rename(path.c_str(), (path + ".bad").c_str()) != 0)
        return failed(errno_error(fmt::format("set {} aside", path)));
    log::warn("state.previous_used", {{"path", path}, {"reason", content.error().message}});
    return StateFile{std::string(*previous), true};
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
    auto opened = open_regular(path);
    if (!opened) return failed(opened.error());
    return read_all(*opened, path, max_bytes);
}

Result<std::string> read_secret_file(const std::string& path, size_t max_bytes) {
    auto opened = open_regular(path);
    if (!opened) return failed(opened.error());
    if ((opened->status.st_mode & 077) != 0)
        return fail(Code::Denied, "open {}: others can read it (mode {:o}); chmod 600 it", path,
                    opened->status.st_mode & 0777);
    return read_all(*opened, path, max_bytes);
}

Result<std::string> read_trusted_file(const std::string& path, size_t max_bytes) {
    auto opened = open_regular(path, O_NOFOLLOW);
    if (!opened) return failed(opened.error());
    if ((opened->status.st_mode & 022) != 0)
        return fail(Code::Denied, "open {}: others can write it (mode {:o})", path,
                    opened->status.st_mode & 0777);
    return read_all(*opened, path, max_bytes);
}

Result<void> write_durable(const std::string& path, std::string_view content, mode_t mode) {
    return replace(path, content, mode, true);
}

Result<void> create_durable(const std::string& path, std::string_view content, mode_t mode) {
    const std::string temporary = path + ".tmp";
    auto written = write_temporary(temporary, content, mode);
    // A link refuses a name that is taken, where a rename would replace it.
    if (written && link(temporary.c_str(), path.c_str()) != 0) {
        const int error = errno;
        written = fail(error == EEXIST ? Code::Exists : Code::Internal, "create {}: {}", path,
                       std::strerror(error));
    }
    unlink(temporary.c_str());
    return written ? sync_folder_of(path) : written;
}

Result<void> save_state(const std::string& path, int version, std::string_view content) {
    // A file that is bad must not push the last good one out of `.prev`.
    const auto present = read_framed(path, read_file);
    const bool is_good = present && unframed(present->reveal(), version, path).has_value();
    return replace(path, framed(version, content).reveal(), 0600, is_good);
}

Result<StateFile> load_state(const std::string& path, int version) {
    return load(path, version, read_file);
}

Result<StateFile> load_secret_state(const std::string& path, int version) {
    return load(path, version, read_secret_file);
}

Result<void> make_directories(const std::string& path, mode_t mode) {
    const std::filesystem::path whole(path);
    std::filesystem::path so_far;
    for (const auto& part : whole) {
        so_far /= part;
        if (mkdir(so_far.c_str(), mode) != 0) {
            if (errno == EEXIST || errno == EISDIR) continue;
            return failed(errno_error(fmt::format("make folder {}", so_far.string())));
        }
        // What is synced inside it is lost all the same if its own name is.
        if (auto synced = sync_folder_of(so_far.string()); !synced) return synced;
    }
    struct stat status {};
    if (stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
        return fail(Code::Invalid, "make folder {}: something else is there", path);
    return {};
}

Result<void> remove_file(const std::string& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT)
        return failed(errno_error(fmt::format("remove {}", path)));
    return {};
}

}  // namespace cvlan
