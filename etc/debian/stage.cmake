# Run by cpack on the staged tree before it is packed: what Debian wants beside the installed files.
set(root "${CPACK_TEMPORARY_DIRECTORY}")
set(doc "${root}/usr/share/doc/qzd")
file(MAKE_DIRECTORY "${doc}" "${root}/usr/share/lintian/overrides")

# The last change is the newest thing in the package, so two builds of one commit are alike.
set(epoch "$ENV{SOURCE_DATE_EPOCH}")
if(epoch STREQUAL "")
  string(TIMESTAMP epoch "%s" UTC)
endif()
execute_process(COMMAND date -u -R -d "@${epoch}" OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
set(version "${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
set(maintainer "${CPACK_PACKAGE_CONTACT}")
configure_file("${CPACK_QZD_DEBIAN_DIR}/changelog.in" "${doc}/changelog.Debian" @ONLY)
configure_file("${CPACK_QZD_DEBIAN_DIR}/copyright" "${doc}/copyright" COPYONLY)
configure_file("${CPACK_QZD_DEBIAN_DIR}/lintian-overrides" "${root}/usr/share/lintian/overrides/qzd" COPYONLY)

file(GLOB programs "${root}/usr/bin/*")
execute_process(COMMAND strip --remove-section=.comment --remove-section=.note ${programs} COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE pages "${root}/usr/share/man/*.[158]")
execute_process(COMMAND gzip -9nf ${pages} "${doc}/changelog.Debian" COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE files "${root}/usr/share/*" "${root}/etc/*" "${root}/usr/lib/*")
file(CHMOD ${files} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
