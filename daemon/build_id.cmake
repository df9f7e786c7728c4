# Writes the build's id into a source, at each build and only where it has changed: cmake -DSOURCE=.. -DVERSION=.. -DGIT=..
# -DTEMPLATE=.. -DOUT=.. -P build_id.cmake. In a clone it names the commit, and whether the tree differs from it.
set(QZD_BUILD "${VERSION}")
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} describe --always --dirty --abbrev=12 WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(commit)
    string(APPEND QZD_BUILD "+${commit}")
  endif()
endif()
configure_file(${TEMPLATE} ${OUT} @ONLY)
